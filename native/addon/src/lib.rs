//! The Node-API face of `openbao-kms-tls`: it converts values and errors, nothing else.
#![deny(unsafe_code)]

mod process_guard;

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

use napi::bindgen_prelude::{Buffer, FnArgs, Function, FunctionRef, Uint8Array};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use openbao_kms_tls::connection::{Connection, Options};
use openbao_kms_tls::failure::Failure;
use openbao_kms_tls::remote_key::SignCallback;

type SignArguments = FnArgs<(u32, Buffer)>;

/// The failure's code is the whole message: a stable word, never text of the peer.
fn to_js(failure: Failure) -> Error {
    Error::new(Status::GenericFailure, failure.code())
}

/// The options of [`TlsClient`]; certificates are DER.
#[napi(object)]
pub struct TlsOptions {
    /// Name or IP address that the server's certificate must hold.
    pub server_name: String,
    /// Trusted CA certificates.
    pub ca: Vec<Buffer>,
    /// The client's certificate, then its intermediates.
    pub chain: Vec<Buffer>,
    /// TLS `SignatureScheme` numbers that the key can do, best first.
    pub schemes: Vec<u32>,
    /// The largest amount of plaintext that may wait for `readPlain`.
    pub max_plain_bytes: u32,
}

/// A TLS client without I/O. The handshake signature is asked of a function, on the same thread, inside `readTls`.
#[napi]
pub struct TlsClient {
    // RefCell: the sign function could call back into this object.
    connection: RefCell<Connection>,
    sign: Rc<FunctionRef<SignArguments, Uint8Array>>,
}

// Node-API hands arguments over by value.
#[allow(clippy::needless_pass_by_value)]
#[napi]
impl TlsClient {
    /// Checks the options; the first bytes for the server are then ready in `writeTls`.
    #[napi(constructor)]
    pub fn new(options: TlsOptions, sign: Function<'_, SignArguments, Uint8Array>) -> Result<Self> {
        let bytes = |list: Vec<Buffer>| list.into_iter().map(|each| each.to_vec()).collect();
        let schemes: std::result::Result<Vec<u16>, _> =
            options.schemes.into_iter().map(u16::try_from).collect();
        let connection = Connection::new(Options {
            server_name: options.server_name,
            ca: bytes(options.ca),
            chain: bytes(options.chain),
            schemes: schemes.map_err(|_| to_js(Failure::Options("schemes")))?,
            max_plain_bytes: options.max_plain_bytes as usize,
        })
        .map_err(to_js)?;
        Ok(Self {
            connection: RefCell::new(connection),
            sign: Rc::new(sign.create_ref()?),
        })
    }

    fn connection(&self) -> Result<RefMut<'_, Connection>> {
        self.connection
            .try_borrow_mut()
            .map_err(|_| to_js(Failure::State))
    }

    /// Bytes from the socket. What the sign function throws is thrown on, as it is.
    #[napi]
    pub fn read_tls(&self, env: Env, data: Uint8Array) -> Result<()> {
        let thrown: Rc<Cell<Option<Error>>> = Rc::default();
        let callback: SignCallback = {
            let (sign, thrown) = (self.sign.clone(), thrown.clone());
            Rc::new(move |scheme, message| {
                let arguments = (u32::from(u16::from(scheme)), Buffer::from(message));
                sign.borrow_back(&env)
                    .and_then(|function| function.call(arguments.into()))
                    .map(|signature| signature.to_vec())
                    .map_err(|error| thrown.set(Some(error)))
                    .ok()
            })
        };
        let outcome = self.connection()?.read_tls(&data, &callback);
        match (outcome, thrown.take()) {
            (_, Some(error)) => Err(error),
            (outcome, None) => outcome.map_err(to_js),
        }
    }

    /// Bytes for the socket; empty when there are none.
    #[napi]
    pub fn write_tls(&self) -> Result<Buffer> {
        Ok(self.connection()?.write_tls().map_err(to_js)?.into())
    }

    /// Plaintext to send; refused before the handshake is done.
    #[napi]
    pub fn write_plain(&self, data: Uint8Array) -> Result<()> {
        self.connection()?.write_plain(&data).map_err(to_js)
    }

    /// Plaintext that has come since the last call.
    #[napi]
    pub fn read_plain(&self) -> Result<Buffer> {
        Ok(self.connection()?.read_plain().into())
    }

    /// Queues `close_notify` for `writeTls`.
    #[napi]
    pub fn close(&self) -> Result<()> {
        self.connection()?.close();
        Ok(())
    }

    /// True until the handshake is done.
    #[napi(getter)]
    pub fn is_handshaking(&self) -> Result<bool> {
        Ok(self.connection()?.is_handshaking())
    }

    /// The server said `close_notify`.
    #[napi(getter)]
    pub fn peer_closed(&self) -> Result<bool> {
        Ok(self.connection()?.peer_closed())
    }

    /// `TLSv1_2` or `TLSv1_3`, once agreed.
    #[napi(getter)]
    pub fn protocol(&self) -> Result<Option<String>> {
        Ok(self.connection()?.protocol().map(str::to_owned))
    }
}

/// Helper process only: see [`process_guard::guard`]. Returns the parent's process id.
#[napi]
pub fn guard_process(seconds: u32) -> Result<i32> {
    process_guard::guard(seconds).map_err(|errno| Error::new(Status::GenericFailure, errno.to_string()))
}
