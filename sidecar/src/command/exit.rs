//! How a command ended, as one number: the same for the command line, the editor and its batch mode.
//!
//! 1 stays free: it is Unity's own.

use thumbforge_core::error::ErrorCode;

use crate::build::BuildError;

/// Done, or nothing to do.
pub const DONE: u8 = 0;
/// Usage, or bad input.
pub const INPUT: u8 = 2;
/// Some jobs failed or are held.
pub const FAILED: u8 = 3;
/// No sidecar where one was asked for.
pub const NO_SIDECAR: u8 = 4;
/// ABI or `requires` mismatch.
pub const MISMATCH: u8 = 5;
/// Timed out.
pub const TIMED_OUT: u8 = 6;
/// A quality gate.
pub const GATE: u8 = 7;
/// The budget.
pub const BUDGET: u8 = 8;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// The exit code of a failure that ends the whole command.
pub fn of(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::VersionMismatch | ErrorCode::AbiMismatch => MISMATCH,
        ErrorCode::NoSidecar => NO_SIDECAR,
        ErrorCode::DeadlineExceeded => TIMED_OUT,
        ErrorCode::VerificationFailed | ErrorCode::RenderedTextMismatch => GATE,
        ErrorCode::Cancelled => INTERRUPTED,
        ErrorCode::OverBudget => BUDGET,
        ErrorCode::InvalidRequest
        | ErrorCode::InvalidManifest
        | ErrorCode::UnknownModel
        | ErrorCode::UnsupportedField
        | ErrorCode::InputFile
        | ErrorCode::OutputPath
        | ErrorCode::MissingString
        | ErrorCode::NotFound
        | ErrorCode::TooLarge
        | ErrorCode::UnknownPrice
        | ErrorCode::ModelRetired
        | ErrorCode::LicenceDenied
        | ErrorCode::PolicyDenied
        | ErrorCode::DataDirInUse
        | ErrorCode::PortTaken => INPUT,
        _ => FAILED,
    }
}

/// The exit code of a project that cannot be built at all.
pub fn of_error(error: &BuildError) -> u8 {
    of(match error {
        BuildError::Failure(failure) => failure.code,
        BuildError::Mistakes(mistakes) => mistakes.code(),
    })
}
