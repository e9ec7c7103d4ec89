//! What a picture is, by its first bytes.
