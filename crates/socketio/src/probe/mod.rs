//! Single questions to an endpoint.
