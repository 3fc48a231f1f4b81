//! What a machine offers a pipeline: static checks, a match with what the pipeline declares, and measurements.
