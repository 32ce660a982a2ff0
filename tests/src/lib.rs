//! The product from outside.

