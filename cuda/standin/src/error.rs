//! Why there is no stand-in here.

use std::path::PathBuf;

use thiserror::Error;

/// Why there is no stand-in here.
#[derive(Debug, Clone, Error)]
pub enum StandinError {
    /// Another system or compiler than it was written for.
    #[error(
        "build the stand-in for CUDA: it is made for Linux and a C++17 compiler (`c++`, or what CXX names): {reason}"
    )]
    NotHere {
        /// What is missing.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("build the stand-in for CUDA: {what} {}: {reason}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The compiler refused.
    #[error("compile {}:\n{output}", source_file.display())]
    Compile {
        /// What was compiled.
        source_file: PathBuf,
        /// What the compiler says.
        output: String,
    },
    /// A mutation's words are not in its file, or more than once.
    #[error("mutate {file}: `{find}` stands in it {times} times; it must be once")]
    Mutation {
        /// The file.
        file: String,
        /// The words.
        find: String,
        /// How often they are there.
        times: usize,
    },
    /// The library could not be opened, or lacks a function.
    #[error("open the stand-in for CUDA at {}: {reason}", path.display())]
    Open {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
}
