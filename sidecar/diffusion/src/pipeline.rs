//! Pictures from requests.

pub(crate) mod stage;
