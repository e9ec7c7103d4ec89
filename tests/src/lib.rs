//! thumbforge-tests
