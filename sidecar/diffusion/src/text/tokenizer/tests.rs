//! Tokenizers against numbers that transformers gave.
