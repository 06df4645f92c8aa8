//! The runtime of Anteroom.
