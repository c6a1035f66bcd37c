//! `pull`: images from registries. Options and configuration become what the image room wants; the work is done in a
//! child process, so that the caller stays single-threaded and outside of the user's namespace.

use super::transport;
use crate::engine::child::in_child;
use crate::engine::options::PullOptions;
use crate::engine::{Engine, Error};
use crate::image::archive::LoadOptions;
use crate::image::pull::{self, Progress, PullError};
use crate::image::registry::registries::{Endpoint, Registries};
use crate::image::registry::{AuthFile, ClientOptions, RegistryError, Repository, credentials};
use crate::image::unpack::{Owners, UnpackOptions};
use crate::image::{ImageStore, StoreError};
use crate::spec::{Digest, PullPolicy, Reference};

/// Fetches an image as the policy says (always, unless it says otherwise) and returns its id; with `--all-tags`, all
/// images of the repository and the last one's id.
///
/// # Errors
/// What the registry says; a name that is none; no such image here when nothing may be fetched.
pub fn pull(engine: &Engine, name: &str, options: &PullOptions, progress: &dyn Progress) -> Result<String, Error> {
    let store = super::store(engine);
    if let Some(place) = transport::parse(name)? {
        let ids = in_child(engine, false, || {
            let options = LoadOptions { policy: super::sign::policy()?, ..super::transfer::enter(engine)? };
            Ok(place.load(&store, options, &|line| progress.say(line))?.into_iter().map(|loaded| loaded.id).collect::<Vec<_>>())
        })?;
        return ids.last().map(ToString::to_string).ok_or_else(|| Error::not_found("image", name));
    }
    let name = transport::registry_name(name);
    if options.all_tags {
        super::push::repository_of_all_tags(engine, name)?;
    }
    let policy = options.policy.unwrap_or(PullPolicy::Always);
    let local = match (policy, store.resolve_for_run_on(name, options.platform.as_ref())) {
        (PullPolicy::Never, Err(error)) => return Err(error.into()),
        (_, local) => {
            let wanted = options.platform.as_ref();
            local.ok().filter(|image| wanted.is_none_or(|wanted| wanted.rank(&image.record.platform).is_some()))
        }
    };
    if let (PullPolicy::Never | PullPolicy::Missing, Some(image), false) = (policy, &local, options.all_tags) {
        return Ok(image.record.id.to_string());
    }
    match (fetch_any(engine, name, options, progress), local) {
        (Ok(ids), _) => match ids.last() {
            Some(id) => {
                if let Some(record) = store.record(id)? {
                    super::find::warn_of_platform(&record.platform, options, progress);
                }
                Ok(id.to_string())
            }
            None => Err(Error::not_found("image", name)),
        },
        (Err(Error::Registry(reason)), Some(image)) if policy == PullPolicy::Newer => {
            progress.say(&format!("Keeping {name} as it is here: {reason}"));
            Ok(image.record.id.to_string())
        }
        (Err(error), _) => Err(error),
    }
}

/// What a name may mean when it is to be fetched, in the order to try.
pub(super) fn meanings(engine: &Engine, name: &str) -> Result<Vec<Reference>, Error> {
    let reference = super::store(engine).reference(name)?;
    let own = &engine.config.images;
    let bare = name.strip_prefix("docker://").unwrap_or(name);
    let repository = bare.split('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    if own.registry.is_some() || own.aliases.contains_key(repository) {
        return Ok(vec![reference]);
    }
    let found = registries()?.short(bare).map_err(|e| Error::Usage(e.to_string()))?;
    Ok(if found.is_empty() { vec![reference] } else { found })
}

/// What the host's files say about registries.
pub(super) fn registries() -> Result<Registries, Error> {
    Registries::load(&|name| std::env::var_os(name)).map_err(|error| Error::Registry(error.to_string()))
}

/// Fetches the first of the images a name may mean that can be had.
fn fetch_any(engine: &Engine, name: &str, options: &PullOptions, progress: &dyn Progress) -> Result<Vec<Digest>, Error> {
    ask_any(engine, name, &|reference| fetch(engine, reference, options, progress))
}

/// Fetches what `reference` names now, or with `--all-tags` all its tags, and returns the ids.
fn fetch(
    engine: &Engine,
    reference: &Reference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Vec<Digest>, Error> {
    in_child(engine, false, || {
        let entered = crate::userns::enter(&engine.paths.run, false)?;
        let owners = if entered.map.is_single() { Owners::Record } else { Owners::Set };
        let pull_options = pull::PullOptions {
            client: client_options(engine, reference, options)?,
            endpoints: endpoints(reference, options)?,
            policy: super::sign::policy()?,
            platform: options.platform.clone(),
            parallel: engine.config.images.parallel.map_or(pull::PARALLEL, usize::from),
            unpack: UnpackOptions { owners, ..UnpackOptions::default() },
        };
        let store = super::store(engine);
        let one = |reference: &Reference| one(&store, reference, &pull_options, progress);
        if !options.all_tags {
            return Ok(vec![one(reference)?]);
        }
        let mut ids = Vec::new();
        for tag in ask(engine, reference, options, &|repository| repository.tags(usize::MAX))? {
            let tagged = format!("{}:{tag}", reference.repository());
            ids.push(one(&tagged.parse()?)?);
        }
        Ok(ids)
    })
}

/// Asks the places a reference is fetched from, mirrors first, until one answers.
pub(super) fn ask<T>(
    engine: &Engine,
    reference: &Reference,
    options: &PullOptions,
    question: &dyn Fn(&Repository) -> Result<T, RegistryError>,
) -> Result<T, Error> {
    let client = client_options(engine, reference, options)?;
    let mut failed = None;
    for endpoint in endpoints(reference, options)? {
        match Repository::at(&endpoint, reference, &client).and_then(|repository| question(&repository)) {
            Ok(answer) => return Ok(answer),
            // The last one is the registry itself.
            Err(error) => failed = Some(registry(error)),
        }
    }
    Err(failed.unwrap_or_else(|| Error::not_found("image", reference.familiar())))
}

/// Asks for the first of the images a name may mean that is there.
pub(super) fn ask_any<T>(engine: &Engine, name: &str, question: &dyn Fn(&Reference) -> Result<T, Error>) -> Result<T, Error> {
    let mut reasons = Vec::new();
    for reference in meanings(engine, name)? {
        match question(&reference) {
            Err(Error::Registry(reason)) => reasons.push(reason),
            other => return other,
        }
    }
    Err(Error::Registry(reasons.join("; ")))
}

/// How the registry of a reference itself is spoken to. `--tls-verify` wins over what the files say.
pub(super) fn direct_client(engine: &Engine, reference: &Reference, options: &PullOptions) -> Result<ClientOptions, Error> {
    let mut client = client_options(engine, reference, options)?;
    let insecure = registries()?.is_insecure(reference).map_err(|e| Error::Registry(e.to_string()))?;
    client.tls_verify &= !insecure || options.tls_verify.is_some();
    Ok(client)
}

/// Where a reference is fetched from. `--tls-verify` wins over what the files say.
fn endpoints(reference: &Reference, options: &PullOptions) -> Result<Vec<Endpoint>, Error> {
    let mut endpoints = registries()?.endpoints(reference).map_err(|e| Error::Registry(e.to_string()))?;
    if options.tls_verify.is_some() {
        endpoints.iter_mut().for_each(|endpoint| endpoint.insecure = false);
    }
    Ok(endpoints)
}

fn one(
    store: &ImageStore,
    reference: &Reference,
    options: &pull::PullOptions,
    progress: &dyn Progress,
) -> Result<Digest, Error> {
    pull::pull(store, reference, options, progress).map(|record| record.id).map_err(|error| match error {
        PullError::Registry(error) => registry(error),
        PullError::Policy(error) => {
            let hint = "see containers-policy.json(5); kelp image sign makes signatures".to_owned();
            Error::Denied { message: with_causes(&error), hint }
        }
        PullError::Store(error @ StoreError::NotFound(_)) => error.into(),
        other => Error::Storage(with_causes(&other)),
    })
}

pub(super) fn registry(error: RegistryError) -> Error {
    Error::Registry(with_causes(&error))
}

/// Words of an error and its causes, without repetitions.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    message
}

fn client_options(engine: &Engine, reference: &Reference, options: &PullOptions) -> Result<ClientOptions, Error> {
    let defaults = ClientOptions::default();
    let insecure = engine.config.images.insecure.iter().any(|host| host == reference.domain());
    let credentials = match &options.credentials {
        Some(text) => Some(credentials::parse_creds(text).map_err(|e| Error::Usage(e.to_string()))?),
        None => None,
    };
    // A file that was named is the one to look into.
    let (auth_files, helpers) = match &options.auth_file {
        Some(path) => (vec![AuthFile { path: path.clone(), required: true }], Vec::new()),
        None => (credentials::default_files(&|name| std::env::var_os(name)), registries()?.credential_helpers().to_vec()),
    };
    let mut certs_d = vec![engine.paths.config.join("certs.d")];
    certs_d.extend(engine.paths.config.parent().map(|config| config.join("containers/certs.d")));
    certs_d.extend(defaults.certs_d.clone());
    Ok(ClientOptions {
        tls_verify: options.tls_verify.unwrap_or(!insecure),
        credentials,
        auth_files,
        helpers,
        certs_d,
        cert_dir: options.cert_dir.clone(),
        retries: options.retries.unwrap_or(defaults.retries),
        retry_delay: options.retry_delay.unwrap_or(defaults.retry_delay),
        stall: defaults.stall,
    })
}
