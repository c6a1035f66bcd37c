//! Sending bodies of any length in large pieces.
//!
//! The HTTP client's blocking half takes a reader 8 KiB at a time from one thread to another, which costs more than a fast
//! registry's network. Here the reader's own thread fills pieces thirty times that size, and the connection takes them as it
//! goes.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::blocking::{Request, Response};
use reqwest::{Client, ClientBuilder, ResponseBuilderExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender as To, channel};

/// Bytes in one piece.
const PIECE: usize = 256 << 10;
/// Pieces between the reader and the connection.
const PIECES: usize = 4;
/// The longest answer read; more is an error page nobody asked for.
const MAX_ANSWER: usize = 64 << 10;

/// Why nothing was sent, or not all.
#[derive(Debug, thiserror::Error)]
pub(super) enum SenderError {
    /// The request.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// The answer.
    #[error("{0}")]
    Answer(String),
}

/// A client that streams.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    /// Driven by those who send.
    runtime: Runtime,
}

impl Sender {
    pub(super) fn new(builder: ClientBuilder) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = builder.build().map_err(io::Error::other)?;
        Ok(Self { client, runtime })
    }

    /// Sends what `head` says with this body, and returns the answer, its body read.
    pub(super) fn send(&self, head: &Request, body: impl Read + Send, length: Option<u64>) -> Result<Response, SenderError> {
        let (to, from) = channel(PIECES);
        let mut request = reqwest::Request::new(head.method().clone(), head.url().clone());
        *request.headers_mut() = head.headers().clone();
        *request.timeout_mut() = head.timeout().copied();
        *request.body_mut() = Some(reqwest::Body::wrap(Pieces { from, left: length }));
        std::thread::scope(|scope| {
            // Ends with the body, or when the connection does not want more of it.
            scope.spawn(move || pump(body, &to));
            self.runtime.block_on(self.exchange(request))
        })
    }

    async fn exchange(&self, request: reqwest::Request) -> Result<Response, SenderError> {
        let mut response = self.client.execute(request).await?;
        let mut answer = http::Response::builder().status(response.status()).url(response.url().clone());
        if let Some(headers) = answer.headers_mut() {
            headers.clone_from(response.headers());
        }
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await? {
            text.extend_from_slice(&piece);
            if text.len() > MAX_ANSWER {
                break;
            }
        }
        answer.body(text).map(Response::from).map_err(|error| SenderError::Answer(error.to_string()))
    }
}

fn pump(mut body: impl Read, to: &To<io::Result<Bytes>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = body.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let ended = piece.is_empty();
        let next = match read {
            Ok(_) if ended => return,
            Ok(_) => Ok(Bytes::from(piece)),
            Err(error) => Err(error),
        };
        let failed = next.is_err();
        if to.blocking_send(next).is_err() || failed {
            return;
        }
    }
}

/// The body as the connection sees it.
struct Pieces {
    from: Receiver<io::Result<Bytes>>,
    /// Bytes still to come, when that is known.
    left: Option<u64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.from.poll_recv(context).map(|next| match next? {
            Ok(piece) => {
                self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                Some(Ok(Frame::data(piece)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
