//! Judging a finished picture.
