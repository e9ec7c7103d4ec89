//! Fetching of results that lie at an address which a provider names.
