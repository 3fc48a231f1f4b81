//! Which cpus are near each other, from what a hand-over between them takes.

/// Groups of cpus, from a matrix of one-way times: cpus are in one group if a chain of near pairs leads from one to the other
/// (single-link clustering). What is near ends at the widest step between the sorted times of all pairs, if that step is at
/// least by half; where there is none, all are in one group. The result names indices of the matrix, ascending.
pub fn clusters(matrix: &[Vec<Option<f64>>]) -> Vec<Vec<usize>> {
    let near = threshold(matrix);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for cpu in 0..matrix.len() {
        let linked = |other: &usize| {
            let there = matrix[cpu].get(*other).copied().flatten();
            let back = matrix[*other].get(cpu).copied().flatten();
            there.into_iter().chain(back).any(|ns| ns <= near)
        };
        let (mut joined, apart): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| group.iter().any(linked));
        let mut group: Vec<usize> = joined.drain(..).flatten().collect();
        group.push(cpu);
        groups = apart;
        groups.push(group);
    }
    for group in &mut groups {
        group.sort_unstable();
    }
    groups.sort();
    groups
}

/// By how much the next time is longer where groups end.
const STEP: f64 = 1.5;

fn threshold(matrix: &[Vec<Option<f64>>]) -> f64 {
    let mut times: Vec<f64> = matrix
        .iter()
        .flatten()
        .copied()
        .flatten()
        .filter(|ns| *ns > 0.0)
        .collect();
    times.sort_by(f64::total_cmp);
    let steps = times.windows(2).map(|pair| (pair[1] / pair[0], pair[0]));
    steps
        .filter(|(step, _)| *step >= STEP)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(f64::INFINITY, |(_, near)| near)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(cpus: usize, ns: impl Fn(usize, usize) -> f64) -> Vec<Vec<Option<f64>>> {
        (0..cpus)
            .map(|a| (0..cpus).map(|b| (a != b).then(|| ns(a, b))).collect())
            .collect()
    }

    #[test]
    fn cpus_that_share_a_cache_are_found() {
        let two = matrix(8, |a, b| {
            if a / 4 == b / 4 {
                24.0 + (a + b) as f64 % 3.0
            } else {
                97.0 + (a * b) as f64 % 7.0
            }
        });
        assert_eq!(clusters(&two), [vec![0, 1, 2, 3], vec![4, 5, 6, 7]]);
        let siblings = matrix(4, |a, b| if a % 2 == b % 2 { 9.0 } else { 31.0 });
        assert_eq!(clusters(&siblings), [vec![0, 2], vec![1, 3]]);
    }

    #[test]
    fn cpus_that_are_alike_are_one_group() {
        assert_eq!(
            clusters(&matrix(4, |a, b| 40.0 + (a + b) as f64)),
            [vec![0, 1, 2, 3]]
        );
        assert_eq!(clusters(&matrix(2, |_, _| 61.0)), [vec![0, 1]]);
    }

    #[test]
    fn pairs_that_were_not_measured_link_nobody() {
        let nothing: Vec<Vec<Option<f64>>> = vec![vec![None; 2]; 2];
        assert_eq!(clusters(&nothing), [vec![0], vec![1]]);
        assert!(clusters(&[]).is_empty());
    }
}
