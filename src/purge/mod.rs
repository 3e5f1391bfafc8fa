//! Handing in a machine: what a purge removes, and the certificate of what it did.

pub mod certificate;
