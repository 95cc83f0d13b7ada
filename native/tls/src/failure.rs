//! The closed set of TLS failures, with stable codes.
//!
//! What does not live here: sentences for people. The caller owns those, and gets no text of the peer from here.

use rustls::{AlertDescription, CertificateError, Error};

/// Why an exchange ended. [`Failure::code`] is what crosses to JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The options are not usable; the word says which.
    Options(&'static str),
    /// The server's certificate does not lead to a configured CA.
    ServerUntrusted,
    /// The server's certificate does not hold the expected name.
    ServerName,
    /// The server's certificate is past its end, or not yet valid.
    ServerValidity,
    /// The server presents a CA certificate as its own: webpki refuses that (RFC 5280, basic constraints).
    ServerIsCa,
    /// Any other defect of the server's certificate.
    ServerCertificate,
    /// The server refused the client certificate (alerts 42 to 49, 51 and 116).
    ClientRefused,
    /// The server sent another fatal alert.
    Alert,
    /// No signature scheme of the key is offered by the server.
    NoSharedScheme,
    /// The callback gave no signature.
    Signature,
    /// More plaintext than the caller allows.
    TooLarge,
    /// A call in the wrong state: before the handshake, or from inside the callback.
    State,
    /// Anything else that breaks the protocol.
    Protocol,
}

impl Failure {
    /// The stable name of this failure.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Options(_) => "options",
            Self::ServerUntrusted => "server_untrusted",
            Self::ServerName => "server_name",
            Self::ServerValidity => "server_validity",
            Self::ServerIsCa => "server_is_ca",
            Self::ServerCertificate => "server_certificate",
            Self::ClientRefused => "client_refused",
            Self::Alert => "alert",
            Self::NoSharedScheme => "no_shared_scheme",
            Self::Signature => "signature",
            Self::TooLarge => "too_large",
            Self::State => "state",
            Self::Protocol => "protocol",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(reason) => from_certificate(&reason),
            Error::AlertReceived(alert) => from_alert(alert),
            Error::PeerIncompatible(_) => Self::NoSharedScheme,
            _ => Self::Protocol,
        }
    }
}

fn from_certificate(reason: &CertificateError) -> Failure {
    use CertificateError as C;
    match reason {
        C::UnknownIssuer | C::BadSignature => Failure::ServerUntrusted,
        C::NotValidForName | C::NotValidForNameContext { .. } => Failure::ServerName,
        C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
            Failure::ServerValidity
        }
        // rustls hides this one behind an opaque webpki error.
        C::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => Failure::ServerIsCa,
        _ => Failure::ServerCertificate,
    }
}

/// RFC 8446, section 6.2: the alerts that speak of the certificate the client sent.
const fn from_alert(alert: AlertDescription) -> Failure {
    use AlertDescription as A;
    match alert {
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied
        | A::DecryptError
        | A::CertificateRequired => Failure::ClientRefused,
        A::HandshakeFailure => Failure::NoSharedScheme,
        _ => Failure::Alert,
    }
}
