//! Reference application.
