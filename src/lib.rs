//! kelp runs OCI containers for one ordinary user: no daemon, no root, one binary, state in the XDG directories, the verbs
//! and flags people know from docker and podman. This page is the map of the code.
//!
//! # One `run`, as data
//! 1. [`cli`] turns arguments into a [`spec::ContainerSpec`]: what the user asked, nothing looked up.
//! 2. [`engine`] finds the image ([`image`]), merges spec, image and [`config`] into a [`state::ContainerRecord`], makes
//!    volumes ([`volume`]) and stores the record ([`state`]).
//! 3. [`engine`] makes a [`runtime::plan::Plan`]: every mount, namespace, limit, capability, and the compiled seccomp filter.
//! 4. A [`monitor`] process, started before step 2 so that its namespace is ready by now, gets plan and descriptors in one
//!    packet, and holds the container's lock from here on: that lock *is* "running".
//! 5. [`runtime::launch`] clones the container's first process; [`runtime::init`] walks the plan in it and becomes the
//!    program, or reports the step and errno that failed; the parent words the message. Until then the parent runs
//!    errands for it on files of the user, who may have no id in there.
//! 6. The monitor keeps streams and log, checks health, serves attach, exec and stop on its control socket, records the end before anyone
//!    is told, restarts or removes.
//!
//! # Processes
//! All are this binary; `main` chooses the role before any thread exists.
//!
//! | role | lives | what it is |
//! |---|---|---|
//! | `kelp` | one command | single-threaded, outside the user's namespace; work inside it is done by a forked child |
//! | monitor | one container | one thread (a second one while ports are published); never imports HTTP or archives |
//! | file system server | one container with the FUSE driver | [`storage::fuse`], multithreaded |
//! | layer sync | seconds | flushes new layers to disk, then marks them so |
//! | holder | one per user, while a container is on a user network | [`network::holder`]: bridges, names, the way out |
//! | slirp4netns | one container on the default network, or the holder | the only program of others that stays |
//!
//! # What is deliberately absent
//! - No file says "running", no pause process, no database, no mount on the host: a kill -9 of anything leaves records that
//!   the next command reads as what they are.
//! - No `unsafe` outside [`sys`], no thread before a clone, no path of an image used as text: [`sys::root`] opens them.
//! - No mount outlives what asked for it: `mount` of a container or an image is seen inside `kelp unshare` alone.
//! - Nothing on the start path is synced, parsed twice, or waited for. In particular nobody waits for a deletion: on some
//!   file systems removing one directory takes milliseconds, so a container is renamed out of sight and deleted after its
//!   end was told.
//!
//! # Decisions that measurements made
//! - **Static, at a fixed address.** A position independent binary of this size relocates some 400 KB of pages at start, and
//!   each monitor would own them. The price is that the program text is not randomised; the kernel still randomises stack,
//!   heap and mappings.
//! - **exec goes through the monitor**, not from the command into the namespaces: the monitor runs from a read-only view of
//!   the binary, so that no process of a container ever sees a `/proc/PID/exe` it could write through (CVE-2019-5736), it
//!   reaps what was started, and it is already where it has to be.
//! - **Layers are handed to overlayfs as descriptor numbers** relative to `/proc/self/fd`: 500 layers fit the page that
//!   mount(2) takes, and no character in a path needs escaping.
//! - **Layers are not synced before they are used.** They are marked unsynced with the boot id; a background process syncs
//!   and marks them. After a crash unsynced layers of an earlier boot count as missing.
//! - **The FUSE driver shifts ids by where it runs**: its server sits in the user's namespace and reads image ids, the mount
//!   belongs to the container's namespace and speaks the container's ids; the same number on both sides is the shift.
//!
//! - **Networks are kept apart by routing rules**, and the one rule of nf_tables there is, masquerade, is sent over netlink
//!   by [`network::masquerade`]: no program `nft` or `ip` is needed. slirp4netns knows 16 neighbours at once, so what leaves
//!   must carry one address. Packets between containers of a network are bridged and never meet a filter.
//! - **The store says where a container runs.** Locks and sockets are in a runtime directory, but a user may have several
//!   (cron, su, a session that has ended), so the container's directory holds a link to it and names the monitor, which is
//!   asked to make its part anew where that is gone. The namespace that all share is found by links to the directories used.
//! - **Layers are named by their own digest, not by what they lie on**, so that images share them. Directories that a layer
//!   says nothing of are the exception: where images differ in them, each has its own beside the layer ([`image`], adopt).
//!   A layer notes the blob it came as; what another image's manifest claims of a blob is believed once it was read.
//! - **A process that ended keeps no namespace**, also while nobody has reaped it: it could be entered, which is quicker than
//!   making one, but a user who was granted more ids would go on without them.
//! - **The holder keeps no file.** Monitors record the addresses of their containers and keep a connection to it; when it
//!   dies one of them starts another and all plug in again, with the same addresses.
//!
//! # Who may import whom
//! `tests/tidy.rs` holds the table. It differs from the usual layering in three places: `monitor` uses `network` (published
//! ports and slirp4netns live and die with it), `runtime` uses `volume` (a new volume is filled from the container's first
//! process, the one place where the image is visible with the right ids), and `format` is pure and free to all. `build` uses
//! [`sys`] (contexts are walked and copied by descriptor), `state` and `userns` (its cache lies beside the layers) and
//! `runtime` (users of a root file system).

pub mod spec;
pub mod format;
#[allow(unsafe_code)]
pub mod sys;
pub mod config;
pub mod systemd;
pub mod userns;
pub mod state;
pub mod volume;
pub mod network;
pub mod storage;
pub mod image;
pub mod runtime;
pub mod monitor;
pub mod engine;
pub mod build;
pub mod cli;
