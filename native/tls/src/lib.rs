//! A TLS client connection without I/O, whose handshake signature comes from outside.
//!
//! `connection` holds the TLS, `remote_key` the key that is not here, `failure` the ways in which it ends. What does not
//! live here: sockets, HTTP, PKCS#11 and anything of JavaScript.
#![forbid(unsafe_code)]

pub mod connection;
pub mod failure;
pub mod remote_key;
