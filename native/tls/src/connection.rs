//! One TLS client connection as a pure machine: bytes in, bytes out, no sockets, no threads, no clock but the system's.

use std::io::{Cursor, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::failure::Failure;
use crate::remote_key::{RemoteKey, SignCallback, with_callback};

/// What a connection needs to know before the first byte.
pub struct Options {
    /// The name, or IP address, that the server's certificate must hold.
    pub server_name: String,
    /// Trusted CA certificates, DER.
    pub ca: Vec<Vec<u8>>,
    /// The client's certificate and its intermediates, leaf first, DER. They are sent as they are: rustls does not
    /// read them, so the caller has checked them.
    pub chain: Vec<Vec<u8>>,
    /// TLS signature schemes of the client's key, best first.
    pub schemes: Vec<u16>,
    /// At most so many bytes of plaintext wait for the caller; a server that sends more is cut off.
    pub max_plain_bytes: usize,
}

/// A client connection whose handshake signature comes from a callback.
pub struct Connection {
    tls: ClientConnection,
    plain: Vec<u8>,
    max_plain_bytes: usize,
    peer_closed: bool,
}

impl Connection {
    /// Checks the options; sends nothing yet.
    pub fn new(options: Options) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        for der in options.ca {
            roots
                .add(CertificateDer::from(der))
                .map_err(|_| Failure::Options("ca"))?;
        }
        if roots.is_empty() {
            return Err(Failure::Options("ca"));
        }
        if options.chain.is_empty() {
            return Err(Failure::Options("chain"));
        }
        let chain = options.chain.into_iter().map(CertificateDer::from).collect();
        let key = Arc::new(RemoteKey::new(&options.schemes)?);
        let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(resolver));
        // One exchange, then the process ends: there is nothing to resume.
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(options.server_name).map_err(|_| Failure::Options("server_name"))?;
        Ok(Self {
            tls: ClientConnection::new(Arc::new(config), name)?,
            plain: Vec::new(),
            max_plain_bytes: options.max_plain_bytes,
            peer_closed: false,
        })
    }

    /// Takes bytes from the socket. May ask `sign` for the handshake signature. After a failure, what
    /// [`Connection::write_tls`] gives is the alert for the server.
    pub fn read_tls(&mut self, data: &[u8], sign: &SignCallback) -> Result<(), Failure> {
        let mut input = Cursor::new(data);
        while input.position() < data.len() as u64 {
            self.tls.read_tls(&mut input).map_err(|_| Failure::Protocol)?;
            let state = with_callback(sign.clone(), || self.tls.process_new_packets())?;
            let waiting = state.plaintext_bytes_to_read();
            if self.plain.len() + waiting > self.max_plain_bytes {
                return Err(Failure::TooLarge);
            }
            match self
                .tls
                .reader()
                .take(waiting as u64)
                .read_to_end(&mut self.plain)
            {
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    return Err(Failure::Protocol);
                }
                _ => {}
            }
            if state.peer_has_closed() {
                self.peer_closed = true;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Bytes for the socket; empty when there are none.
    pub fn write_tls(&mut self) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut out).map_err(|_| Failure::Protocol)?;
        }
        Ok(out)
    }

    /// Plaintext to send; refused before the handshake is done, since nothing may leave before the server is known.
    pub fn write_plain(&mut self, data: &[u8]) -> Result<(), Failure> {
        if self.tls.is_handshaking() {
            return Err(Failure::State);
        }
        self.tls.set_buffer_limit(None);
        self.tls.writer().write_all(data).map_err(|_| Failure::Protocol)
    }

    /// Plaintext that has come since the last call.
    pub fn read_plain(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plain)
    }

    /// Queues the `close_notify` alert.
    pub fn close(&mut self) {
        self.tls.send_close_notify();
    }

    /// True until both sides have proven what they must.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// The server sent `close_notify`: the end of the data is the server's word, not a cut.
    #[must_use]
    pub const fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// `TLSv1_2` or `TLSv1_3`, once agreed.
    #[must_use]
    pub fn protocol(&self) -> Option<&'static str> {
        self.tls.protocol_version().and_then(|version| version.as_str())
    }
}
