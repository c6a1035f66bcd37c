//! `network ls` and `network inspect`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{users, wire};
use crate::engine::filter::{self, Filters};
use crate::engine::{Engine, Error};
use crate::format::time;
use crate::network::store::{NetworkRecord, NetworkStoreError, Networks};
use crate::spec::network::NetworkMode;
use crate::spec::subnet::StaticRoute;
use crate::state::container::Entry;
use crate::state::{ContainerRecord, Containers};

const KEYS: &[&str] = &["dangling", "driver", "id", "label", "label!", "name", "scope", "type", "until", "internal", "ipv6"];

/// The networks that are always there: name, driver, id. The ids are fixed, so that scripts can keep them, and differ in
/// their first twelve digits.
pub(super) const BUILT_IN: &[(&str, &str, &str)] = &[
    ("bridge", "bridge", "6b656c7062726467000000000000000000000000000000000000000062726467"),
    ("host", "host", "6b656c70686f73740000000000000000000000000000000000000000686f7374"),
    ("none", "null", "6b656c706e6f6e6500000000000000000000000000000000000000006e6f6e65"),
];

/// One network of a listing.
#[derive(Debug, Clone)]
pub struct NetworkRow {
    /// The full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// For `{{.Label "key"}}`.
    pub labels: BTreeMap<String, String>,
    /// docker's keys and texts.
    pub json: Value,
}

/// What was found.
#[derive(Debug, Default)]
pub struct NetworkListing {
    /// By name.
    pub rows: Vec<NetworkRow>,
    /// Records that could not be read; worth a warning each.
    pub damaged: Vec<Error>,
}

fn built_in(name: &str, driver: &str, id: &str) -> (NetworkRecord, String) {
    (NetworkRecord { id: id.to_owned(), name: name.to_owned(), dns: name == "bridge", ..NetworkRecord::default() }, driver.to_owned())
}

/// Lists networks, those that are always there among them.
///
/// # Errors
/// A filter that makes no sense.
pub fn list(engine: &Engine, filters: &[String], no_trunc: bool) -> Result<NetworkListing, Error> {
    let filters = Filters::parse(filters, KEYS)?;
    let names = filter::patterns(&filters, "name")?;
    let until = filter::until(&filters)?;
    let flag = |key: &str| filters.values(key).last().map(|text| filter::boolean(key, text)).transpose();
    let (dangling, internal, ipv6) = (flag("dangling")?, flag("internal")?, flag("ipv6")?);
    if let Some(kind) = filters.values("type").iter().find(|kind| !matches!(kind.as_str(), "custom" | "builtin")) {
        return Err(Error::Usage(format!("invalid filter type={kind}: use custom or builtin")));
    }
    let (records, damaged) = Networks::new(&engine.paths).list()?;
    let mut all: Vec<(NetworkRecord, String, bool)> =
        records.into_iter().map(|record| (record, "bridge".to_owned(), false)).collect();
    all.extend(BUILT_IN.iter().map(|(name, driver, id)| built_in(name, driver, id)).map(|(record, driver)| (record, driver, true)));
    all.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    let mut rows = Vec::new();
    for (record, driver, always) in all {
        let fits = (names.is_empty() || names.iter().any(|pattern| pattern.fits(&record.name)))
            && filters.any("id", |prefix| record.id.starts_with(prefix.as_str()))
            && filters.any("driver", |wanted| driver == *wanted)
            && filters.any("scope", |scope| scope == "local")
            && filters.any("type", |kind| (kind == "builtin") == always)
            && filters.labels(&record.labels)
            && until.is_none_or(|until| record.created < until)
            && internal.is_none_or(|internal| internal == record.internal)
            && ipv6.is_none_or(|ipv6| ipv6 == record.subnet(true).is_some());
        // docker's pre-defined networks are never dangling.
        let dangles = |wanted: bool| -> Result<bool, Error> { Ok((!always && users(engine, &record)?.is_empty()) == wanted) };
        if fits && dangling.map_or(Ok(true), dangles)? {
            rows.push(NetworkRow { json: row(&record, &driver, no_trunc), id: record.id, name: record.name, labels: record.labels });
        }
    }
    Ok(NetworkListing { rows, damaged: damaged.into_iter().map(Error::from).collect() })
}

fn row(record: &NetworkRecord, driver: &str, no_trunc: bool) -> Value {
    let id = if no_trunc { record.id.as_str() } else { record.id.get(..12).unwrap_or(&record.id) };
    json!({
        "CreatedAt": time::rfc3339_nano(record.created),
        "Driver": driver,
        "ID": id,
        "IPv4": (driver == "bridge" && (record.subnets.is_empty() || record.subnet(false).is_some())).to_string(),
        "IPv6": record.subnet(true).is_some().to_string(),
        "Internal": record.internal.to_string(),
        "Labels": crate::engine::container::ls::joined(&record.labels),
        "Name": record.name,
        "Scope": "local",
    })
}

/// Everything known of a network, with docker's keys and some of podman's.
///
/// # Errors
/// No such network.
pub fn inspect(engine: &Engine, name: &str) -> Result<Value, Error> {
    let known = BUILT_IN.iter().find(|(known, _, id)| *known == name || name.len() >= 12 && id.starts_with(name));
    let (record, driver) = match (Networks::new(&engine.paths).get(name), known) {
        (Ok(record), _) => (record, "bridge".to_owned()),
        (Err(NetworkStoreError::NotFound(_)), Some((name, driver, id))) => built_in(name, driver, id),
        (Err(error), _) => return Err(error.into()),
    };
    let mut containers = if known.is_some() && driver == "bridge" { on_default(engine)? } else { Map::new() };
    if known.is_none() {
        for user in users(engine, &record)? {
            let Some(lease) = user.run.as_ref().and_then(|run| run.networks.iter().find(|lease| lease.network_id == record.id)) else { continue };
            let cidr = |ip: Option<String>, prefix: u8| ip.map(|ip| format!("{ip}/{prefix}")).unwrap_or_default();
            let value = json!({
                "Name": user.record.name,
                "EndpointID": endpoint_id(&record.id, &user.record.id),
                "MacAddress": lease.mac,
                "IPv4Address": cidr(lease.ip.map(|ip| ip.to_string()), lease.prefix),
                "IPv6Address": cidr(lease.ip6.map(|ip| ip.to_string()), lease.prefix6),
            });
            containers.insert(user.record.id, value);
        }
    }
    let subnets: Vec<Value> = record
        .subnets
        .iter()
        .map(|subnet| {
            let mut value = json!({"Subnet": subnet.subnet.to_string(), "Gateway": subnet.gateway.to_string()});
            if let Some(range) = subnet.range {
                value["IPRange"] = format!("{}-{}", range.first, range.last).into();
            }
            let reserved: Map<String, Value> =
                record.reserved.iter().filter(|(_, ip)| subnet.is_host(**ip)).map(|(name, ip)| (name.clone(), ip.to_string().into())).collect();
            if !reserved.is_empty() {
                value["AuxiliaryAddresses"] = reserved.into();
            }
            value
        })
        .collect();
    Ok(json!({
        "Name": record.name,
        "Id": record.id,
        "Created": time::rfc3339_nano(record.created),
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": record.subnets.is_empty() || record.subnet(false).is_some(),
        "EnableIPv6": record.subnet(true).is_some(),
        "IPAM": {"Driver": "default", "Options": null, "Config": subnets},
        "Internal": record.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": false,
        "Containers": containers,
        "Options": record.options,
        "Routes": record.routes.iter().map(route).collect::<Vec<_>>(),
        "Labels": record.labels,
        "DNSEnabled": record.dns,
        "NetworkDNSServers": record.dns_servers,
        "NetworkInterface": record.interface,
    }))
}

/// The running containers on the default network.
fn on_default(engine: &Engine) -> Result<Map<String, Value>, Error> {
    let (entries, _) = Containers::new(&engine.paths).list()?;
    let on = |record: &ContainerRecord| wire::modes(&engine.config, record).iter().any(|mode| matches!(mode, NetworkMode::Default(_)));
    let of = |entry: Entry| {
        let ip = entry.status.run()?.ip.clone()?;
        let value = json!({
            "Name": entry.record.name,
            "EndpointID": endpoint_id(built_in_id("bridge"), &entry.record.id),
            "MacAddress": "",
            "IPv4Address": format!("{ip}/24"),
            "IPv6Address": "",
        });
        Some((entry.record.id, value))
    };
    Ok(entries.into_iter().filter(|entry| on(&entry.record)).filter_map(of).collect())
}

/// The id of a network that is always there.
pub(in crate::engine) fn built_in_id(name: &str) -> &'static str {
    BUILT_IN.iter().find(|(known, ..)| *known == name).map_or("", |(_, _, id)| id)
}

fn route(route: &StaticRoute) -> Value {
    let mut value = json!({"Destination": route.destination.to_string(), "Gateway": route.gateway.to_string()});
    if let Some(metric) = route.metric {
        value["Metric"] = metric.into();
    }
    value
}

/// A stable id of a container's place on a network.
pub(in crate::engine) fn endpoint_id(network: &str, container: &str) -> String {
    // Halves of both, which are random.
    format!("{}{}", network.get(..32).unwrap_or_default(), container.get(..32).unwrap_or_default())
}
