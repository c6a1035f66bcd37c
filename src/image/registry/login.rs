//! Logging in: finding out whether a registry accepts credentials.
//!
//! Owns that one question; keeping them is `auth_file`'s.

use reqwest::Method;

use super::client::{Ask, ClientOptions, Repository};
use super::credentials::Credentials;
use super::error::RegistryError;

/// Asks the registry whether it accepts the credentials. What to keep of them: themselves, or the identity token the
/// registry gave in their place.
///
/// # Errors
/// [`RegistryError::Login`] when it does not; the registry cannot be reached, or is none.
pub fn verify(domain: &str, credentials: &Credentials, options: &ClientOptions) -> Result<Credentials, RegistryError> {
    let registry = Repository::for_login(domain, credentials.clone(), options)?;
    match registry.ask(&Ask::new(Method::GET, "/v2/".to_owned(), "registry API")) {
        Ok(_) => Ok(registry.identity().map_or_else(|| credentials.clone(), Credentials::Identity)),
        Err(RegistryError::Denied { registry, reason, .. }) => {
            // Many say no more than the status does.
            let words = reason.to_ascii_lowercase();
            let bare = ["401", "authentication required", "unauthorized", "access to the requested resource is not"];
            let reason = if bare.iter().any(|said| words.contains(said)) { "wrong user name or password".to_owned() } else { reason };
            Err(RegistryError::Login { registry, reason })
        }
        Err(RegistryError::NotFound { registry, .. }) => Err(RegistryError::Protocol {
            url: registry,
            reason: "there is no /v2/".to_owned(),
        }),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fake::{Fake, Reply};
    use super::*;

    fn options() -> ClientOptions {
        ClientOptions { certs_d: Vec::new(), retries: 1, retry_delay: Duration::from_millis(1), ..ClientOptions::default() }
    }

    fn given() -> Credentials {
        Credentials::Basic { username: "u".to_owned(), password: "hush".to_owned() }
    }

    #[test]
    fn tokens_take_the_place_of_passwords() {
        let fake = Fake::start();
        let host = format!("127.0.0.1:{}", fake.port);
        let realm = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
        fake.hook(move |asked, _| {
            if asked.path.starts_with("/token") {
                let right = if asked.method == "POST" {
                    asked.text().contains("refresh_token=stay")
                } else {
                    asked.header("authorization") == Some("Basic dTpodXNo") && asked.path.contains("offline_token=true")
                };
                return Some(match right {
                    true => Reply::new(200, r#"{"token":"good","refresh_token":"stay"}"#),
                    false => Reply::new(401, ""),
                });
            }
            match asked.header("authorization") {
                Some("Bearer good") => Some(Reply::new(200, "{}")),
                _ => Some(Reply::new(401, "").with("WWW-Authenticate", &realm)),
            }
        });
        let kept = verify(&host, &given(), &options()).unwrap();
        assert_eq!(kept, Credentials::Identity("stay".to_owned()));
        assert_eq!(verify(&host, &kept, &options()).unwrap(), kept);
        let wrong = Credentials::Basic { username: "u".to_owned(), password: "other".to_owned() };
        let error = verify(&host, &wrong, &options()).unwrap_err();
        assert!(matches!(error, RegistryError::Login { .. }), "{error}");
        let stale = Credentials::Identity("gone".to_owned());
        assert!(matches!(verify(&host, &stale, &options()), Err(RegistryError::Login { .. })));
        // A token server that sends the token on to somebody else.
        let far = Fake::start();
        let elsewhere = format!("http://localhost:{}/steal", far.port);
        let realm = format!("Bearer realm=\"http://{host}/token\"");
        fake.hook(move |asked, _| {
            Some(match asked.path.as_str() {
                "/token" => Reply::new(307, "").with("Location", &elsewhere),
                _ => Reply::new(401, "").with("WWW-Authenticate", &realm),
            })
        });
        assert!(verify(&host, &kept, &options()).is_err());
        assert!(far.asked().iter().all(|asked| !asked.text().contains("stay")));
    }

    #[test]
    fn what_is_no_registry_is_said() {
        let fake = Fake::start();
        let host = format!("127.0.0.1:{}", fake.port);
        let error = verify(&host, &given(), &options()).unwrap_err().to_string();
        assert!(error.contains("does not behave like a registry"), "{error}");
        fake.hook(|_, _| Some(Reply::new(401, "").with("WWW-Authenticate", "Basic realm=x")));
        let error = verify(&host, &given(), &options()).unwrap_err();
        assert!(matches!(error, RegistryError::Login { .. }) && !error.to_string().contains("hush"), "{error}");
        fake.hook(|_, _| Some(Reply::new(401, "").with("WWW-Authenticate", "Digest realm=x")));
        assert!(matches!(verify(&host, &given(), &options()), Err(RegistryError::Login { .. })));
    }
}
