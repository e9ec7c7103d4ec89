//! What leaves Thumbforge for a project: PNG files with provenance, `.meta` files, contact sheets.
