//! anteroom-tests
