//! Classes of errors: what an error says about whom was called, and so what a guarded stage does about it.

use std::{convert::Infallible, fmt, io};

/// What an error says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The item is bad. Whom was called is well: a breaker counts it as a call that passed, and nothing tries again.
    Item,
    /// Whom was called failed.
    #[default]
    Dependency,
    /// Whom was called has too much to do.
    Overload,
    /// It took too long.
    Timeout,
    /// Nothing can go on: the run ends with this error.
    Fatal,
}

/// An error that a stage with `breaker` or `retry` may return.
///
/// ```
/// use std::fmt;
/// use pipewright::{Classify, ErrorClass};
///
/// #[derive(Debug)]
/// enum PriceError {
///     UnknownSymbol,
///     Exchange(std::io::Error),
/// }
///
/// impl fmt::Display for PriceError {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "{self:?}")
///     }
/// }
///
/// impl Classify for PriceError {
///     fn class(&self) -> ErrorClass {
///         match self {
///             // A symbol that does not exist says nothing about the exchange.
///             PriceError::UnknownSymbol => ErrorClass::Item,
///             PriceError::Exchange(error) => error.class(),
///         }
///     }
/// }
///
/// let error = PriceError::Exchange(std::io::ErrorKind::TimedOut.into());
/// assert_eq!(error.class(), ErrorClass::Timeout);
/// ```
#[diagnostic::on_unimplemented(
    message = "a guarded stage has to know what an error says, and `{Self}` does not tell",
    label = "does not implement `Classify`",
    note = "write `impl pipewright::Classify for {Self} {{}}`: then every error is one of whom is called, and `fn class` tells others apart; it must be `Display`"
)]
pub trait Classify: fmt::Display {
    /// What it says; without another word, that whom was called failed.
    fn class(&self) -> ErrorClass {
        ErrorClass::Dependency
    }
}

impl Classify for io::Error {
    /// What was not found, was refused or is malformed is about the item; what is interrupted, timed out or busy tells so; the
    /// rest is the system's fault.
    fn class(&self) -> ErrorClass {
        use io::ErrorKind::*;
        match self.kind() {
            TimedOut | WouldBlock => ErrorClass::Timeout,
            ResourceBusy | QuotaExceeded | OutOfMemory => ErrorClass::Overload,
            NotFound | PermissionDenied | AlreadyExists | InvalidInput | InvalidData
            | InvalidFilename | IsADirectory | NotADirectory | UnexpectedEof => ErrorClass::Item,
            _ => ErrorClass::Dependency,
        }
    }
}

/// Errors that are about the item: it is not what it should be.
macro_rules! about_the_item {
    ($($error:ty),* $(,)?) => {
        $(impl Classify for $error {
            fn class(&self) -> ErrorClass {
                ErrorClass::Item
            }
        })*
    };
}

about_the_item!(
    fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::num::TryFromIntError,
    std::str::ParseBoolError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::char::ParseCharError,
    std::net::AddrParseError,
);

impl Classify for String {}
impl Classify for &str {}
impl Classify for dyn std::error::Error + Send + Sync {}
impl Classify for dyn std::error::Error + Send {}
impl Classify for std::sync::mpsc::RecvError {}

impl Classify for std::sync::mpsc::RecvTimeoutError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Timeout => ErrorClass::Timeout,
            Self::Disconnected => ErrorClass::Dependency,
        }
    }
}

impl Classify for Infallible {
    fn class(&self) -> ErrorClass {
        match *self {}
    }
}

impl<E: Classify + ?Sized> Classify for Box<E> {
    fn class(&self) -> ErrorClass {
        (**self).class()
    }
}

impl<E: Classify + ?Sized> Classify for std::sync::Arc<E> {
    fn class(&self) -> ErrorClass {
        (**self).class()
    }
}
