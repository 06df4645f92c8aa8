//! Black-box tests of Anteroom, and the suites that several implementations share.

#![warn(missing_docs)]

pub mod store_contract;
