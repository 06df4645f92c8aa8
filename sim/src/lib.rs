//! anteroom-sim
