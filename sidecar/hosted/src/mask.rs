//! Masks in the forms that providers want.
