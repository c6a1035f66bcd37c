//! From a registry's challenge to an `Authorization` header: basic, and bearer tokens of the distribution protocol.
//!
//! Owns the exchange with the token server and remembering its result for one repository. Where credentials come from is
//! `credentials`' business; when to ask, `client`'s.

use std::io::Read as _;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use reqwest::blocking::{Body, Request, Response};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::challenge::{self, Challenge};
use super::credentials::Credentials;
use super::error::RegistryError;
use super::patience::Patience;
use super::transport::{Transport, is_loopback, shown};

const MAX_TOKEN: u64 = 1 << 20;

/// What we show a registry for one repository.
#[derive(Debug)]
pub(super) struct Authorizer {
    repository: String,
    /// `pull`, or `pull,push`.
    actions: &'static str,
    credentials: Option<Credentials>,
    /// Ask the token server for a token that stands for name and password from now on.
    offline: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    header: Option<HeaderValue>,
    /// What the token server gave to stand for name and password.
    identity: Option<String>,
    /// Counts the headers made, so that of several threads refused at once only one asks anew.
    generation: u64,
}

/// The header of a request, and which one it was.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) header: Option<HeaderValue>,
    generation: u64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl Authorizer {
    pub(super) fn new(repository: &str, actions: &'static str, credentials: Option<Credentials>) -> Self {
        let state = State {
            header: match &credentials {
                Some(Credentials::Bearer(token)) => bearer(token),
                _ => None,
            },
            identity: None,
            generation: 0,
        };
        Self {
            repository: repository.to_owned(),
            actions,
            credentials,
            offline: false,
            state: Mutex::new(state),
        }
    }

    /// For a login: nothing but who we are is to be found out.
    pub(super) fn for_login(credentials: Credentials) -> Self {
        Self { offline: true, ..Self::new("", "", Some(credentials)) }
    }

    /// Who we are, for messages.
    pub(super) fn account(&self) -> Option<String> {
        match self.credentials.as_ref()? {
            Credentials::Basic { username, .. } => Some(format!("user {username}")),
            Credentials::Identity(_) | Credentials::Bearer(_) => Some("this user".to_owned()),
        }
    }

    /// The token that stands for name and password, if the token server gave one.
    pub(super) fn identity(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).identity.clone()
    }

    /// What to show with the next request.
    pub(super) fn current(&self) -> Shown {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Shown {
            header: state.header.clone(),
            generation: state.generation,
        }
    }

    /// Gets a new header after `refusal` of a request that showed `shown`.
    pub(super) fn renew(&self, transport: &Transport, patience: Patience, refusal: &Response, shown: &Shown) -> Result<(), RegistryError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation != shown.generation {
            // Somebody else was refused too and has already asked.
            return Ok(());
        }
        let headers = refusal.headers().get_all(WWW_AUTHENTICATE);
        let challenges: Vec<Challenge> =
            headers.iter().filter_map(|h| h.to_str().ok()).flat_map(challenge::parse).collect();
        let find = |scheme: &str| challenges.iter().find(|c| c.scheme == scheme);
        let header = if let Some(challenge) = find("bearer") {
            let (header, identity) = self.token(transport, patience, challenge)?;
            state.identity = identity.or(state.identity.take());
            header
        } else if find("basic").is_some() {
            match &self.credentials {
                Some(Credentials::Basic { username, password }) => basic(username, password),
                _ => return Err(self.denied(transport, "it asks for a user name and a password")),
            }
        } else {
            return Err(self.denied(transport, "it asks for an authentication that is not supported"));
        };
        state.header = Some(header.ok_or_else(|| self.denied(transport, "the credentials hold impossible characters"))?);
        state.generation += 1;
        Ok(())
    }

    /// Asks the token server a challenge names.
    fn token(
        &self,
        transport: &Transport,
        patience: Patience,
        challenge: &Challenge,
    ) -> Result<(Option<HeaderValue>, Option<String>), RegistryError> {
        let protocol = |reason: &str| RegistryError::Protocol {
            url: transport.registry().to_owned(),
            reason: reason.to_owned(),
        };
        let realm = challenge.params.get("realm").ok_or_else(|| protocol("its challenge names no token server"))?;
        let url = Url::parse(realm).map_err(|_| protocol("its challenge names no usable token server"))?;
        let local = url.host_str().is_some_and(is_loopback);
        if url.scheme() != "https" && !(url.scheme() == "http" && (local || transport.is_plain())) {
            return Err(protocol(&format!("its token server {} is not reached over TLS", shown(&url))));
        }
        let scope = self.scope(challenge.params.get("scope").map_or("", String::as_str));
        let service = challenge.params.get("service").map_or("", String::as_str);
        let address = shown(&url);
        let response = self.ask(transport, patience, &|| self.token_request(transport, url.clone(), service, &scope))?;
        let status = response.status();
        let mut body = Vec::new();
        // A body cut short is no token and reads as such.
        response.take(MAX_TOKEN).read_to_end(&mut body).ok();
        if matches!(status.as_u16(), 401 | 403) {
            let reason = if self.credentials.is_some() { "wrong user name or password" } else { "anonymous access is refused" };
            return Err(self.denied(transport, reason));
        }
        if !status.is_success() {
            return Err(RegistryError::Answer {
                url: address,
                status: status.as_u16(),
                reason: super::client::spoken(&body),
            });
        }
        let answer: Option<TokenAnswer> = serde_json::from_slice(&body).ok();
        let (token, refresh) = answer
            .map(|a| (a.token.filter(|t| !t.is_empty()).or(a.access_token).unwrap_or_default(), a.refresh_token))
            .filter(|(token, _)| !token.is_empty())
            .ok_or_else(|| protocol("its token server sent no token"))?;
        Ok((bearer(&token), refresh.filter(|token| self.offline && !token.is_empty())))
    }

    /// The request for a token.
    fn token_request(&self, transport: &Transport, mut url: Url, service: &str, scope: &str) -> Result<Request, RegistryError> {
        if let Some(Credentials::Identity(token)) = &self.credentials {
            let form = url_encoded(&[
                ("grant_type", "refresh_token"),
                ("service", service),
                ("scope", scope),
                ("client_id", "kelp"),
                ("refresh_token", token),
            ]);
            let mut request = transport.request_to(Method::POST, url.as_str())?;
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form_type);
            // As a stream: a redirect then cannot take it to another host.
            let length = form.len() as u64;
            *request.body_mut() = Some(Body::sized(std::io::Cursor::new(form), length));
            return Ok(request);
        }
        if !service.is_empty() {
            url.query_pairs_mut().append_pair("service", service);
        }
        for scope in scope.split(' ').filter(|s| !s.is_empty()) {
            url.query_pairs_mut().append_pair("scope", scope);
        }
        let mut request = transport.request_to(Method::GET, url.as_str())?;
        if let Some(Credentials::Basic { username, password }) = &self.credentials {
            request.url_mut().query_pairs_mut().append_pair("account", username);
            if self.offline {
                request.url_mut().query_pairs_mut().append_pair("client_id", "kelp").append_pair("offline_token", "true");
            }
            request.headers_mut().extend(basic(username, password).map(|h| (AUTHORIZATION, h)));
        }
        Ok(request)
    }

    /// Sends a request to a token server, again as long as it is busy.
    fn ask(
        &self,
        transport: &Transport,
        patience: Patience,
        request: &dyn Fn() -> Result<Request, RegistryError>,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            let request = request()?;
            let address = shown(request.url());
            let pause = match transport.send(request) {
                Ok(response) => match patience.after_answer(&response, attempt) {
                    Some(pause) => pause,
                    None => return Ok(response),
                },
                Err(error) => patience.after_error(&error, attempt).ok_or_else(|| RegistryError::Unreachable {
                    registry: format!("{} (token server {address})", transport.registry()),
                    reason: error.reason,
                })?,
            };
            std::thread::sleep(pause);
            attempt += 1;
        }
    }

    /// What the challenge asks for; for a push at once all it will need, so that tokens are not fetched in turns.
    fn scope(&self, asked: &str) -> String {
        let own = format!("repository:{}:", self.repository);
        let mut scopes: Vec<&str> = asked.split(' ').filter(|scope| !scope.is_empty()).collect();
        if self.repository.is_empty() {
            return scopes.join(" ");
        }
        let all = format!("{own}{}", self.actions);
        if scopes.is_empty() || self.actions != "pull" {
            scopes.retain(|scope| !scope.starts_with(&own));
            scopes.insert(0, &all);
        }
        scopes.join(" ")
    }

    fn denied(&self, transport: &Transport, reason: &str) -> RegistryError {
        RegistryError::Denied {
            registry: transport.registry().to_owned(),
            repository: self.repository.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    sensitive(&format!("Basic {pair}"))
}

/// `a=b&c=d` with everything special escaped.
fn url_encoded(pairs: &[(&str, &str)]) -> String {
    let mut url = match Url::parse("http://x/") {
        Ok(url) => url,
        // A constant; it parses.
        Err(_) => return String::new(),
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}
