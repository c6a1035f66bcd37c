//! A token server as the distribution protocol describes it, for a `docker-registry` that trusts its key: names and
//! passwords, refresh tokens that stand for them, scopes. The registry itself judges every token that is shown to it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

/// What the registry calls itself, and who it trusts.
pub(crate) const SERVICE: &str = "test-registry";
pub(crate) const ISSUER: &str = "kelp-test";

/// `tester` with the password `secret` may do everything, everybody may pull below `public/`.
const BASIC: &str = "Basic dGVzdGVyOnNlY3JldA==";

/// A request for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `GET` or `POST`.
    pub(crate) method: String,
    /// Query or form.
    pub(crate) fields: Vec<(String, String)>,
    /// Whether a password was shown.
    pub(crate) password: bool,
}

impl Asked {
    /// All values of a field, joined by spaces.
    pub(crate) fn field(&self, name: &str) -> String {
        let all: Vec<&str> = self.fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        all.join(" ")
    }
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    /// So many answers say that the server is busy.
    busy: usize,
    /// So many tokens are good for nothing: as if they had run out.
    stale: usize,
}

/// Listens until the test ends.
pub(crate) struct TokenServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct Signer {
    key: EcdsaKeyPair,
    certificate: String,
}

impl TokenServer {
    /// With a key of its own, whose certificate is `token.crt` below `dir`.
    pub(crate) fn start(dir: &Path) -> Self {
        let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=token -keyout token.key \
                      -out token.crt 2>/dev/null && openssl pkcs8 -topk8 -nocrypt -in token.key -outform DER -out token.p8 && \
                      openssl x509 -in token.crt -outform DER -out token.der";
        let made = Command::new("sh").args(["-ec", script]).current_dir(dir).status();
        assert!(made.is_ok_and(|status| status.success()), "openssl makes a key");
        let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
        let random = ring::rand::SystemRandom::new();
        let signer = Arc::new(Signer {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &read("token.p8"), &random).unwrap(),
            certificate: STANDARD.encode(read("token.der")),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let theirs = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, signer) = (Arc::clone(&theirs), Arc::clone(&signer));
                std::thread::spawn(move || answer(stream, &state, &signer));
            }
        });
        Self { port, state }
    }

    /// Where clients are sent.
    pub(crate) fn realm(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    /// What was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// The next answers only say to come again.
    pub(crate) fn be_busy(&self, times: usize) {
        self.state.lock().unwrap().busy = times;
    }

    /// The next tokens are ones that have run out.
    pub(crate) fn be_stale(&self, times: usize) {
        self.state.lock().unwrap().stale = times;
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>, signer: &Signer) {
    let Some(asked) = read(&stream) else { return };
    let (busy, stale) = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked.clone());
        let busy = state.busy > 0;
        state.busy = state.busy.saturating_sub(1);
        let stale = !busy && state.stale > 0;
        state.stale -= usize::from(stale);
        (busy, stale)
    };
    let reply = if busy {
        "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
    } else {
        match grant(&asked, stale, signer) {
            Some(body) => format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.to_string().len()
            ),
            None => "HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        }
    };
    stream.write_all(reply.as_bytes()).ok();
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let query = match method.as_str() {
        "POST" => String::from_utf8(body).ok()?,
        _ => path.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()),
    };
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (decoded(key), decoded(value)));
    let password = headers.get("authorization").is_some_and(|shown| shown == BASIC);
    if headers.contains_key("authorization") && !password {
        return Some(Asked { method, fields: vec![("wrong".to_owned(), String::new())], password });
    }
    Some(Asked { method, fields: query.split('&').filter_map(pair).collect(), password })
}

/// The token, or nothing for somebody who is not who he says.
fn grant(asked: &Asked, stale: bool, signer: &Signer) -> Option<Value> {
    let refresh = asked.method == "POST" && asked.field("grant_type") == "refresh_token";
    let known = asked.password || (refresh && asked.field("refresh_token") == "stands-for-tester");
    if (refresh && !known) || !asked.field("wrong").is_empty() || asked.fields.iter().any(|(key, _)| key == "wrong") {
        return None;
    }
    let mut access = Vec::new();
    for scope in asked.field("scope").split(' ').filter(|scope| !scope.is_empty()) {
        let mut parts = scope.splitn(3, ':');
        let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
        let allowed: Vec<&str> =
            actions.split(',').filter(|action| known || (name.starts_with("public/") && *action == "pull")).collect();
        access.push(json!({"type": kind, "name": name, "actions": allowed}));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expires = if stale { now - 3600 } else { now + 300 };
    let claims = json!({"iss": ISSUER, "sub": if known { "tester" } else { "" }, "aud": SERVICE, "exp": expires, "nbf": now - 7200,
        "iat": now - 7200, "jti": now.to_string(), "access": access});
    let head = json!({"typ": "JWT", "alg": "ES256", "x5c": [signer.certificate]});
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = signer.key.sign(&ring::rand::SystemRandom::new(), signed.as_bytes()).ok()?;
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
    let mut body = json!({"token": token, "access_token": token, "expires_in": 300});
    if asked.password && asked.field("offline_token") == "true" {
        body["refresh_token"] = "stands-for-tester".into();
    }
    Some(body)
}

/// `%2F` and `+`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (first, _) => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
