//! Formats against vectors of the reference implementations.
