//! The requests of the distribution protocol a push needs: is it there, take it from a neighbour, send it, name it.
//!
//! Owns upload sessions and where their requests may go: a registry may send us to another host for the bytes, but our
//! credentials stay with the registry. What to send, and whether to try again, is the pusher's business.

use std::io::Read;
use std::time::Duration;

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::client::{Ask, Repository, content_digest};
use super::error::RegistryError;
use super::transport::shown;
use crate::spec::Digest;

/// The slowest transfer that is waited for, in bytes per second; a connection that stands still ends much earlier.
const SLOWEST: u64 = 10_000;
/// What a registry may take to think about the bytes it got.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// For a stream of unknown length.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// An upload that was begun.
#[derive(Debug)]
pub struct Upload {
    location: Url,
    /// Bytes the registry has.
    pub offset: u64,
}

/// What became of the wish to take a blob from another repository.
#[derive(Debug)]
pub enum Mount {
    /// It is there now.
    Done,
    /// The registry wants the bytes.
    Begun(Upload),
}

impl Repository {
    /// The size of a blob that is in the repository; none when it is not.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses.
    pub fn has_blob(&self, digest: &Digest) -> Result<Option<u64>, RegistryError> {
        let what = format!("blob {digest}");
        let ask = Ask::new(Method::HEAD, format!("/v2/{}/blobs/{digest}", self.path()), &what);
        match self.ask(&ask) {
            Ok(response) => {
                let length = response.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
                Ok(Some(length.unwrap_or(0)))
            }
            // A refusal of HEAD has no words; what is asked next is refused with some.
            Err(RegistryError::NotFound { .. } | RegistryError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for a blob of another repository of the same registry.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses; the blob may be uploaded all the same.
    pub fn mount_blob(&self, digest: &Digest, from: &str) -> Result<Mount, RegistryError> {
        let path = format!("/v2/{}/blobs/uploads/?mount={digest}&from={from}", self.path());
        let response = self.ask(&Ask::new(Method::POST, path, "blob upload"))?;
        if response.status() == StatusCode::CREATED {
            return Ok(Mount::Done);
        }
        self.session(&response).map(Mount::Begun)
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses.
    pub fn begin_upload(&self) -> Result<Upload, RegistryError> {
        let path = format!("/v2/{}/blobs/uploads/", self.path());
        let response = self.ask(&Ask::new(Method::POST, path, "blob upload"))?;
        self.session(&response)
    }

    /// Sends bytes of an upload, all that are left: `length` when it is known. Sent once; on an error ask
    /// [`Repository::resume_upload`] how far it got.
    ///
    /// # Errors
    /// When the connection breaks or the registry refuses.
    pub fn send_upload(
        &self,
        upload: &mut Upload,
        body: impl Read + Send,
        length: Option<u64>,
    ) -> Result<(), RegistryError> {
        let mut request = self.transport().request_to(Method::PATCH, upload.location.as_str())?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if let (Some(length), true) = (length, upload.offset > 0) {
            let range = format!("{}-{}", upload.offset, (upload.offset + length).saturating_sub(1));
            headers.extend(HeaderValue::from_str(&range).ok().map(|value| (CONTENT_RANGE, value)));
        }
        let shown = self.show_credentials(&mut request);
        *request.timeout_mut() = Some(length.map_or(LONGEST, |length| PATIENCE + Duration::from_secs(length / SLOWEST)));
        let sent = self.transport().send_body(request, body, length);
        let response = sent.map_err(|e| self.transport().unreachable(&e))?;
        if let (StatusCode::UNAUTHORIZED, Some(shown)) = (response.status(), shown) {
            self.renew(&response, &shown)?;
            return Err(RegistryError::Unreachable {
                registry: self.registry().to_owned(),
                reason: "our token had run out".to_owned(),
            });
        }
        if let Some(pause) = self.busy(&response) {
            std::thread::sleep(pause);
            return Err(RegistryError::Unreachable {
                registry: self.registry().to_owned(),
                reason: format!("it answered {}", response.status()),
            });
        }
        if !response.status().is_success() {
            return Err(self.refusal("blob upload", response));
        }
        *upload = self.session(&response)?;
        Ok(())
    }

    /// How far an upload got whose connection broke; an error means it is lost.
    ///
    /// # Errors
    /// When the registry knows nothing of it any more.
    pub fn resume_upload(&self, upload: &Upload) -> Result<Upload, RegistryError> {
        let response = self.ask(&Ask::to(Method::GET, upload.location.clone(), "blob upload"))?;
        self.session(&response)
    }

    /// Ends an upload whose bytes are all there.
    ///
    /// # Errors
    /// When the registry cannot be reached, or has got other bytes.
    pub fn finish_upload(&self, upload: &Upload, digest: &Digest) -> Result<(), RegistryError> {
        let mut location = upload.location.clone();
        location.query_pairs_mut().append_pair("digest", &digest.to_string());
        let what = format!("blob {digest}");
        let ask = Ask { patience: Some(PATIENCE), ..Ask::to(Method::PUT, location, &what) };
        self.ask(&ask).map(drop)
    }

    /// Gives an upload up, so that the registry need not keep its bytes. Whether it heard does not matter.
    pub fn cancel_upload(&self, upload: &Upload) {
        let request = self.transport().request_to(Method::DELETE, upload.location.as_str());
        if let Ok(mut request) = request {
            self.show_credentials(&mut request);
            self.transport().send(request).ok();
        }
    }

    /// Stores bytes at hand, unless they are there.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses.
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), RegistryError> {
        if self.has_blob(digest)?.is_some() {
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            let once = || {
                let mut upload = self.begin_upload()?;
                self.send_upload(&mut upload, std::io::Cursor::new(bytes.to_vec()), Some(bytes.len() as u64))?;
                self.finish_upload(&upload, digest)
            };
            match once() {
                Err(RegistryError::Unreachable { .. }) if attempt < self.retries() => {
                    std::thread::sleep(self.pause(attempt));
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Stores a manifest under a tag or its digest.
    ///
    /// # Errors
    /// When the registry cannot be reached, refuses, or says it has stored something else.
    pub fn put_manifest(&self, name: &str, kind: &'static str, raw: &[u8]) -> Result<Digest, RegistryError> {
        let what = format!("manifest {name}");
        let ask = Ask {
            content: Some((kind, raw)),
            patience: Some(PATIENCE),
            ..Ask::new(Method::PUT, format!("/v2/{}/manifests/{name}", self.path()), &what)
        };
        let response = self.ask(&ask)?;
        let digest = Digest::of(raw);
        match content_digest(&response) {
            Some(stored) if stored.algorithm() == digest.algorithm() && stored != digest => Err(RegistryError::Mismatch {
                registry: self.registry().to_owned(),
                what,
                expected: digest,
                actual: stored,
            }),
            _ => Ok(digest),
        }
    }

    /// Where the next request of an upload goes, and how many bytes are there.
    fn session(&self, response: &Response) -> Result<Upload, RegistryError> {
        let protocol = |reason: String| RegistryError::Protocol { url: shown(response.url()), reason };
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| protocol("it names no place for the upload".to_owned()))?;
        let location = response
            .url()
            .join(location)
            .map_err(|_| protocol("it names no usable place for the upload".to_owned()))?;
        self.transport().may_go(response.url(), &location).map_err(protocol)?;
        let range = response.headers().get(RANGE).and_then(|value| value.to_str().ok());
        let last = range.and_then(|range| range.trim_start_matches("bytes=").split_once('-')?.1.parse::<u64>().ok());
        // `0-0` is written for nothing at all, and would mean one byte: sending that again does no harm but confusion.
        let offset = last.filter(|&last| last > 0).map_or(0, |last| last + 1);
        Ok(Upload { location, offset })
    }
}
