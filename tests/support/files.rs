//! A server of the files in a directory over HTTP: what builds fetch. Answers may be made up, as a hostile server's.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// An answer in place of a file: all of it but the length.
type Answer = (String, Vec<u8>);

/// A running server; it ends with the test.
pub(crate) struct Files {
    port: u16,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Files {
    /// Serves what is in `dir`.
    pub(crate) fn serve(dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, asked) = (Arc::<Mutex<BTreeMap<String, Answer>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (dir, own, log) = (dir.to_owned(), Arc::clone(&answers), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (dir, own, log) = (dir.clone(), Arc::clone(&own), Arc::clone(&log));
                std::thread::spawn(move || answer(stream, &dir, &own, &log));
            }
        });
        Self { port, answers, asked }
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Answers with these header lines (each ending in `\r\n`) and this body.
    pub(crate) fn put(&self, path: &str, headers: &str, body: impl Into<Vec<u8>>) {
        self.answers.lock().unwrap().insert(path.to_owned(), (headers.to_owned(), body.into()));
    }

    /// The paths that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, dir: &Path, own: &Mutex<BTreeMap<String, Answer>>, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    log.lock().unwrap().push(path.clone());
    let made_up = own.lock().unwrap().get(&path).cloned();
    let plain: PathBuf = dir.join(path.split('?').next().unwrap_or_default());
    let (status, headers, body) = match (made_up, std::fs::read(&plain)) {
        (Some((headers, body)), _) if headers.starts_with("Location:") => ("302 Found", headers, body),
        (Some((headers, body)), _) => ("200 OK", headers, body),
        (None, Ok(body)) => ("200 OK", String::new(), body),
        (None, Err(_)) => ("404 Not Found", String::new(), Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}
