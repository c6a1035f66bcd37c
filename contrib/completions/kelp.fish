# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kelp_global_optspecs
    string join \n v/version config= D/debug l/log-level= root= runroot= storage-driver= h/help
end

function __fish_kelp_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kelp_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kelp_using_subcommand
    set -l cmd (__fish_kelp_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kelp -n "__fish_kelp_needs_command" -l config -d 'Read this configuration file instead of $XDG_CONFIG_HOME/kelp/config.toml' -r
complete -c kelp -n "__fish_kelp_needs_command" -s l -l log-level -d 'Say more or less on stderr: debug, info, warn, error, fatal' -r
complete -c kelp -n "__fish_kelp_needs_command" -l root -d 'Keep images, containers and volumes in this directory' -r
complete -c kelp -n "__fish_kelp_needs_command" -l runroot -d 'Keep locks and sockets in this directory' -r
complete -c kelp -n "__fish_kelp_needs_command" -l storage-driver -d 'Mount layers with this driver: auto, overlay, fuse' -r
complete -c kelp -n "__fish_kelp_needs_command" -s v -l version -d 'Show the version'
complete -c kelp -n "__fish_kelp_needs_command" -s D -l debug -d 'The same as --log-level debug'
complete -c kelp -n "__fish_kelp_needs_command" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "run" -d 'Create a container and run a command in it'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "exec" -d 'Run a command in a running container'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "ps" -d 'List containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "rm" -d 'Remove containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "create" -d 'Create a container without starting it'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "start" -d 'Start containers that were created or have ended'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "stop" -d 'Ask containers to end, and kill those that do not'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "restart" -d 'Stop containers and start them again'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "kill" -d 'Send a signal to containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "logs" -d 'Show what containers have printed'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "attach" -d 'Connect to the input and output of a running container'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "wait" -d 'Wait until containers have ended and show their exit statuses'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "pause" -d 'Freeze the processes of containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "unpause" -d 'Let frozen containers run on'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "rename" -d 'Give a container another name'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "top" -d 'Show the processes of a container'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "port" -d 'Show where the ports of a container are published'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "diff" -d 'Show what a container changed in its file system'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "commit" -d 'Make an image of what a container changed'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "cp" -d 'Copy files between a container and the host'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "export" -d 'Write a container\'s file system as a tar archive'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "build" -d 'Build an image from a Dockerfile'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "images" -d 'List images'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "pull" -d 'Fetch images from a registry'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "push" -d 'Send an image to a registry'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "search" -d 'Search registries for images'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "login" -d 'Log in to a registry'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "logout" -d 'Forget the login to a registry'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "load" -d 'Load images from a docker or OCI archive'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "save" -d 'Write images to an archive'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "import" -d 'Make an image from a tar archive of a file system'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "rmi" -d 'Remove images'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "tag" -d 'Give an image another name'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "untag" -d 'Take names away from an image'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "history" -d 'Show the steps an image was made in'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "resolve" -d 'Say what a name means on the user networks: address, container, network'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "inspect" -d 'Show all there is to know of containers, images, networks, volumes, as JSON'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "info" -d 'Show facts of this kelp and this host'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "version" -d 'Show the version'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "doctor" -d 'Look at what this host has and lacks for containers, and put it right'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "gc" -d 'Remove what interrupted commands left behind'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "unshare" -d 'Run a program as root of your user namespace'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "mount" -d 'Mount the files of containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "unmount" -d 'Unmount the files of containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "umount" -d 'Unmount the files of containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "completion" -d 'Write the completion script of a shell'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "__complete" -d 'List the names that can follow, for completion scripts'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "container" -d 'Work with containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "image" -d 'Work with images'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "network" -d 'Work with networks'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "builder" -d 'Work with builds and their cache'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "buildx" -d 'Work with builds and their cache, as docker\'s plugin names it'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "manifest" -d 'Work with lists of images for several platforms'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "volume" -d 'Work with volumes'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "healthcheck" -d 'Check the health of containers'
complete -c kelp -n "__fish_kelp_needs_command" -f -a "system" -d 'Work with kelp itself'
complete -c kelp -n "__fish_kelp_using_subcommand run" -s e -l env -d 'Set a variable; KEY alone takes the caller\'s value, KEY* all the caller\'s with that prefix' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l env-file -d 'Read variables from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand run" -l unsetenv -d 'Take away a variable of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l entrypoint -d 'Program to run in place of the image\'s entry point; a JSON array for one with arguments, "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s w -l workdir -d 'Directory to run in' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s u -l user -d 'User, and group, to run as: names of the image or numbers' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l group-add -d 'A further group; keep-groups keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l passwd-entry -d 'The line added to /etc/passwd, with $USERNAME, $UID, $GID, $NAME and $HOME; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l group-entry -d 'The line added to /etc/group, with $GROUPNAME, $GID and $USERLIST; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l umask -d 'File mode mask of the process, octal' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l tz -d 'Time zone; local is the host\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s l -l label -d 'Label on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l label-file -d 'Read labels from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand run" -l annotation -d 'OCI annotation on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s v -l volume -d 'Mount a directory of the host or a volume; without SOURCE an anonymous volume' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l mount -d 'Mount in the long form: type=bind|volume|tmpfs|image|glob|devpts,source=…,target=…,…' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l tmpfs -d 'Mount memory' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l volumes-from -d 'Mount the volumes another container has' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l device -d 'Give a device of the host to the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l image-volume -d 'What a VOLUME of the image becomes: anonymous, tmpfs or ignore' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l network -l net -d 'Network: NAME[:ip=,mac=,alias=,gw-priority=,driver-opt=,…], name=NAME,…, none, host, container:NAME, ns:PATH, slirp4netns[:OPTIONS], pasta[:OPTIONS]' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l ip -d 'IPv4 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l ip6 -d 'IPv6 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l mac-address -d 'Hardware address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l network-alias -l net-alias -d 'Another name on every user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l link -d 'Another container by an alias: entry of /etc/hosts, variables that tell its ports' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s p -l publish -d 'Publish a port of the container on the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l expose -d 'Say that the container listens on a port' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s h -l hostname -d 'Name of the container for itself' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l domainname -d 'NIS domain name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l add-host -d 'Line of /etc/hosts; host-gateway is the host\'s address' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l host-access -d 'Servers on the host\'s loopback the container reaches as host.docker.internal: none, ports, or all [default: none]' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l dns -d 'Name server; none leaves /etc/resolv.conf to the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l dns-option -l dns-opt -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l sysctl -d 'Kernel parameter of the container\'s own namespaces' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l pid -d 'Processes: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l ipc -d 'System V IPC, message queues and /dev/shm: private, shareable, none, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l uts -d 'Host name: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cgroupns -d 'Control groups: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l userns -d 'Ids: host, keep-id[:uid=N,gid=N], nomap, auto[:size=N], container:NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l uidmap -d 'Map user ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l gidmap -d 'Map group ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l log-driver -d 'Keep output with this driver: k8s-file (also called json-file), journald, passthrough or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l log-opt -d 'max-size=SIZE, max-file=N, labels=KEY,…, env=NAME,…, tag=TEXT, path=FILE or mode=MODE: the log is on this host and has no buffer that could lose lines, so blocking and non-blocking are the same' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l restart -d 'Start it again when it ends: no, on-failure[:N], always, unless-stopped' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l stop-signal -d 'Signal that asks it to end' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l stop-timeout -d 'Seconds it has to end before it is killed; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l timeout -d 'Kill it after so many seconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cidfile -d 'Write the container\'s id to this new file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand run" -l pidfile -d 'Write the pid of the container\'s process to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand run" -l conmon-pidfile -d 'Write the pid of the container\'s monitor to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand run" -l health-cmd -d 'Command that checks the container: a shell line, a JSON array of words, or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l health-interval -d 'Time between two checks (30s); disable to check only on `healthcheck run`' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l health-retries -d 'Failures in a row that make it unhealthy (3)' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l health-timeout -d 'Time one check may take (30s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l health-start-period -d 'Time after the start in which failures do not count (0s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l health-start-interval -d 'Time between two checks during the start period (5s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l health-on-failure -d 'What to do when it becomes unhealthy: none, kill, restart, stop' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand run" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand run" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l pull -d 'When to pull the image: missing, always, never, newer' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l name -d 'Name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -s a -l attach -d 'Connect only these: stdin, stdout, stderr' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q; "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l preserve-fds -d 'Pass so many descriptors after 2 into the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand run" -l env-host -d 'Give the container all of the caller\'s variables'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l unsetenv-all -d 'Take away all variables of the image'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l passwd -d 'Add the user and its group to the image\'s /etc/passwd and /etc/group where they are not in it'
complete -c kelp -n "__fish_kelp_using_subcommand run" -s t -l tty -d 'Connect a terminal'
complete -c kelp -n "__fish_kelp_using_subcommand run" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l init -d 'Run an init that reaps and passes signals on as process 1'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l read-only -d 'Make the root file system read-only'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l read-only-tmpfs -d 'Keep /run, /tmp and /var/tmp of a read-only container writable (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand run" -s P -l publish-all -d 'Publish every exposed port on a free port of the host'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l privileged -d 'Lift the sandbox: all capabilities of the user namespace, no seccomp filter, nothing masked'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l rm -d 'Remove the container, and its anonymous volumes, when it ends'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l no-healthcheck -d 'Check nothing, whatever the image says'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand run" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l rootfs -d 'IMAGE is an unpacked directory of the host; :O keeps it unchanged'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l replace -d 'Remove another container that has the name first'
complete -c kelp -n "__fish_kelp_using_subcommand run" -s d -l detach -d 'Leave it running in the background and show its id'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l sig-proxy -d 'Pass signals on to the container (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l rmi -d 'Remove the image too when the container ends, unless another uses it'
complete -c kelp -n "__fish_kelp_using_subcommand run" -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s e -l env -d 'Set a variable; KEY alone takes the caller\'s value, KEY* all the caller\'s with that prefix' -r
complete -c kelp -n "__fish_kelp_using_subcommand exec" -l env-file -d 'Read variables from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand exec" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q; "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s u -l user -d 'User, and group, to run as: names of the image or numbers' -r
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s w -l workdir -d 'Directory to run in' -r
complete -c kelp -n "__fish_kelp_using_subcommand exec" -l preserve-fds -d 'Pass so many descriptors after 2 into the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand exec" -l cidfile -d 'Read the container\'s id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s d -l detach -d 'Leave it running in the background'
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s t -l tty -d 'Connect a terminal'
complete -c kelp -n "__fish_kelp_using_subcommand exec" -l privileged -d 'Without the sandbox, as run --privileged'
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand exec" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand ps" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand ps" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand ps" -s n -l last -d 'Show the N newest, running or not' -r
complete -c kelp -n "__fish_kelp_using_subcommand ps" -l sort -d 'Sort by command, created, id, image, names or status' -r
complete -c kelp -n "__fish_kelp_using_subcommand ps" -s a -l all -d 'Show those that do not run too'
complete -c kelp -n "__fish_kelp_using_subcommand ps" -s l -l latest -d 'Show the newest, running or not'
complete -c kelp -n "__fish_kelp_using_subcommand ps" -l no-trunc -d 'Show ids, commands and images in full'
complete -c kelp -n "__fish_kelp_using_subcommand ps" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand ps" -s s -l size -d 'Show how much each has written'
complete -c kelp -n "__fish_kelp_using_subcommand ps" -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand ps" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand rm" -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand rm" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand rm" -s t -l time -l timeout -d 'Seconds before the kill; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand rm" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand rm" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand rm" -s f -l force -d 'Stop it first if it runs; one that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand rm" -s i -l ignore -d 'A container that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand rm" -l depend -d 'Remove those that depend on it too'
complete -c kelp -n "__fish_kelp_using_subcommand rm" -s v -l volumes -d 'Remove its anonymous volumes too'
complete -c kelp -n "__fish_kelp_using_subcommand rm" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand create" -s e -l env -d 'Set a variable; KEY alone takes the caller\'s value, KEY* all the caller\'s with that prefix' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l env-file -d 'Read variables from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand create" -l unsetenv -d 'Take away a variable of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l entrypoint -d 'Program to run in place of the image\'s entry point; a JSON array for one with arguments, "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s w -l workdir -d 'Directory to run in' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s u -l user -d 'User, and group, to run as: names of the image or numbers' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l group-add -d 'A further group; keep-groups keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l passwd-entry -d 'The line added to /etc/passwd, with $USERNAME, $UID, $GID, $NAME and $HOME; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l group-entry -d 'The line added to /etc/group, with $GROUPNAME, $GID and $USERLIST; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l umask -d 'File mode mask of the process, octal' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l tz -d 'Time zone; local is the host\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s l -l label -d 'Label on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l label-file -d 'Read labels from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand create" -l annotation -d 'OCI annotation on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s v -l volume -d 'Mount a directory of the host or a volume; without SOURCE an anonymous volume' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l mount -d 'Mount in the long form: type=bind|volume|tmpfs|image|glob|devpts,source=…,target=…,…' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l tmpfs -d 'Mount memory' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l volumes-from -d 'Mount the volumes another container has' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l device -d 'Give a device of the host to the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l image-volume -d 'What a VOLUME of the image becomes: anonymous, tmpfs or ignore' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l network -l net -d 'Network: NAME[:ip=,mac=,alias=,gw-priority=,driver-opt=,…], name=NAME,…, none, host, container:NAME, ns:PATH, slirp4netns[:OPTIONS], pasta[:OPTIONS]' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l ip -d 'IPv4 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l ip6 -d 'IPv6 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l mac-address -d 'Hardware address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l network-alias -l net-alias -d 'Another name on every user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l link -d 'Another container by an alias: entry of /etc/hosts, variables that tell its ports' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s p -l publish -d 'Publish a port of the container on the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l expose -d 'Say that the container listens on a port' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s h -l hostname -d 'Name of the container for itself' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l domainname -d 'NIS domain name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l add-host -d 'Line of /etc/hosts; host-gateway is the host\'s address' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l host-access -d 'Servers on the host\'s loopback the container reaches as host.docker.internal: none, ports, or all [default: none]' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l dns -d 'Name server; none leaves /etc/resolv.conf to the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l dns-option -l dns-opt -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l sysctl -d 'Kernel parameter of the container\'s own namespaces' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l pid -d 'Processes: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l ipc -d 'System V IPC, message queues and /dev/shm: private, shareable, none, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l uts -d 'Host name: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cgroupns -d 'Control groups: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l userns -d 'Ids: host, keep-id[:uid=N,gid=N], nomap, auto[:size=N], container:NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l uidmap -d 'Map user ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l gidmap -d 'Map group ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l log-driver -d 'Keep output with this driver: k8s-file (also called json-file), journald, passthrough or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l log-opt -d 'max-size=SIZE, max-file=N, labels=KEY,…, env=NAME,…, tag=TEXT, path=FILE or mode=MODE: the log is on this host and has no buffer that could lose lines, so blocking and non-blocking are the same' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l restart -d 'Start it again when it ends: no, on-failure[:N], always, unless-stopped' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l stop-signal -d 'Signal that asks it to end' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l stop-timeout -d 'Seconds it has to end before it is killed; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l timeout -d 'Kill it after so many seconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cidfile -d 'Write the container\'s id to this new file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand create" -l pidfile -d 'Write the pid of the container\'s process to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand create" -l conmon-pidfile -d 'Write the pid of the container\'s monitor to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand create" -l health-cmd -d 'Command that checks the container: a shell line, a JSON array of words, or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l health-interval -d 'Time between two checks (30s); disable to check only on `healthcheck run`' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l health-retries -d 'Failures in a row that make it unhealthy (3)' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l health-timeout -d 'Time one check may take (30s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l health-start-period -d 'Time after the start in which failures do not count (0s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l health-start-interval -d 'Time between two checks during the start period (5s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l health-on-failure -d 'What to do when it becomes unhealthy: none, kill, restart, stop' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand create" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand create" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l pull -d 'When to pull the image: missing, always, never, newer' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l name -d 'Name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -s a -l attach -d 'Connect only these: stdin, stdout, stderr' -r
complete -c kelp -n "__fish_kelp_using_subcommand create" -l env-host -d 'Give the container all of the caller\'s variables'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l unsetenv-all -d 'Take away all variables of the image'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l passwd -d 'Add the user and its group to the image\'s /etc/passwd and /etc/group where they are not in it'
complete -c kelp -n "__fish_kelp_using_subcommand create" -s t -l tty -d 'Connect a terminal'
complete -c kelp -n "__fish_kelp_using_subcommand create" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l init -d 'Run an init that reaps and passes signals on as process 1'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l read-only -d 'Make the root file system read-only'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l read-only-tmpfs -d 'Keep /run, /tmp and /var/tmp of a read-only container writable (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand create" -s P -l publish-all -d 'Publish every exposed port on a free port of the host'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l privileged -d 'Lift the sandbox: all capabilities of the user namespace, no seccomp filter, nothing masked'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l rm -d 'Remove the container, and its anonymous volumes, when it ends'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l no-healthcheck -d 'Check nothing, whatever the image says'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand create" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l rootfs -d 'IMAGE is an unpacked directory of the host; :O keeps it unchanged'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l replace -d 'Remove another container that has the name first'
complete -c kelp -n "__fish_kelp_using_subcommand create" -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand start" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand start" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q' -r
complete -c kelp -n "__fish_kelp_using_subcommand start" -s a -l attach -d 'Connect to its output, and pass its exit status on'
complete -c kelp -n "__fish_kelp_using_subcommand start" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand start" -l all -d 'All containers that do not run'
complete -c kelp -n "__fish_kelp_using_subcommand start" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand start" -l sig-proxy -d 'Pass signals on to the container (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand start" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand stop" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand stop" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand stop" -s t -l time -l timeout -d 'Seconds before the kill; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand stop" -s s -l signal -d 'Signal to send' -r
complete -c kelp -n "__fish_kelp_using_subcommand stop" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand stop" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand stop" -s i -l ignore -d 'A container that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand stop" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand restart" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand restart" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand restart" -s t -l time -l timeout -d 'Seconds before the kill; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand restart" -s s -l signal -d 'Signal to send' -r
complete -c kelp -n "__fish_kelp_using_subcommand restart" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand restart" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand restart" -l running -d 'Only those that run'
complete -c kelp -n "__fish_kelp_using_subcommand restart" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand kill" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand kill" -s s -l signal -d 'Signal to send, by name or number (default KILL)' -r
complete -c kelp -n "__fish_kelp_using_subcommand kill" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand kill" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand kill" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand logs" -l since -d 'Only what came after: a time, or a duration back from now such as 10m' -r
complete -c kelp -n "__fish_kelp_using_subcommand logs" -l until -d 'Only what came before' -r
complete -c kelp -n "__fish_kelp_using_subcommand logs" -s n -l tail -d 'Only the last N lines' -r
complete -c kelp -n "__fish_kelp_using_subcommand logs" -s f -l follow -d 'Go on showing what comes'
complete -c kelp -n "__fish_kelp_using_subcommand logs" -s t -l timestamps -d 'Show the time of each line'
complete -c kelp -n "__fish_kelp_using_subcommand logs" -l details -d 'Show the labels and variables that --log-opt named too'
complete -c kelp -n "__fish_kelp_using_subcommand logs" -l names -d 'Lead each line with the name instead of the id, with several containers'
complete -c kelp -n "__fish_kelp_using_subcommand logs" -l color -d 'Tell several containers apart by colour'
complete -c kelp -n "__fish_kelp_using_subcommand logs" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand logs" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand attach" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q' -r
complete -c kelp -n "__fish_kelp_using_subcommand attach" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand attach" -l no-stdin -d 'Connect output only'
complete -c kelp -n "__fish_kelp_using_subcommand attach" -l sig-proxy -d 'Pass signals on to the container (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand attach" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand wait" -l condition -d 'What to wait for: stopped, running, removed, exited… (default stopped)' -r
complete -c kelp -n "__fish_kelp_using_subcommand wait" -s i -l interval -d 'Time between two looks, such as 250ms' -r
complete -c kelp -n "__fish_kelp_using_subcommand wait" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand wait" -l ignore -d 'A container that is not there is no error and shows -1'
complete -c kelp -n "__fish_kelp_using_subcommand wait" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand pause" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand pause" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand pause" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand pause" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand pause" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand unpause" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand unpause" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand unpause" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand unpause" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand unpause" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand rename" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand top" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand top" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand port" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand port" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand port" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand diff" -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand diff" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand diff" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s a -l author -d 'Author of the image, such as "Jo <jo@example.org>"' -r
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s c -l change -d 'Set part of the configuration with a Dockerfile instruction, such as CMD ["sh"]' -r
complete -c kelp -n "__fish_kelp_using_subcommand commit" -l config -d 'Put the configuration of this JSON file over the container\'s' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s f -l format -d 'oci or docker (default oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand commit" -l iidfile -d 'Write the image\'s id to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s m -l message -d 'Comment in the image\'s history' -r
complete -c kelp -n "__fish_kelp_using_subcommand commit" -l include-volumes -d 'Make the container\'s volumes volumes of the image'
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s p -l pause -d 'Freeze the container meanwhile (default: if it has a cgroup)'
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s s -l squash -d 'Make one layer of all'
complete -c kelp -n "__fish_kelp_using_subcommand commit" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand cp" -s a -l archive -d 'Keep owner and group'
complete -c kelp -n "__fish_kelp_using_subcommand cp" -s L -l follow-link -d 'Follow a symbolic link in SOURCE'
complete -c kelp -n "__fish_kelp_using_subcommand cp" -l overwrite -d 'A directory may replace a file, a file a directory'
complete -c kelp -n "__fish_kelp_using_subcommand cp" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand cp" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand export" -s o -l output -d 'Write to this file instead of standard output' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand export" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand build" -s f -l file -d 'The Dockerfile (default: Dockerfile or Containerfile in the context; - is standard input)' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l build-arg -d 'Value of an ARG; a name alone takes the caller\'s variable. BUILDKIT_CACHE_MOUNT_NS, BUILDKIT_CONTEXT_KEEP_GIT_DIR, BUILDKIT_DOCKERFILE_CHECK and BUILDKIT_SANDBOX_HOSTNAME need no ARG and mean what they mean to BuildKit' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l build-arg-file -d 'Read values of ARGs from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand build" -l build-context -d 'A further context: directory, git repository, archive\'s URL, docker-image://IMAGE, oci-layout://DIR[:TAG] or target:STAGE' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l ignorefile -d 'Read patterns of files to leave out from this file instead of .dockerignore' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand build" -l target -d 'Stage to build (default: the last one)' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l secret -d 'Secret for RUN --mount=type=secret' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l ssh -d 'Agent for RUN --mount=type=ssh' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l pull -d 'Fetch base images: always, missing, newer, never' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -s t -l tag -d 'Name of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -s o -l output -d 'Where the result goes: DIR, - (a tar archive), or type=local|tar|oci|docker|image|registry|cacheonly[,dest=PATH][,name=NAME]' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l manifest -d 'Put the image into this list of images for several platforms, made if need be' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l label -d 'Label of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l annotation -d 'Annotation of the image\'s manifest; with index: or index,manifest: in front, of the index of several platforms' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l env -d 'Variable of the image, beneath those of the Dockerfile; a name alone takes the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l unsetenv -d 'Leave a variable out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l unsetlabel -d 'Leave a label out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l format -d 'oci or docker (default oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l timestamp -d 'Time of the image and latest of its files, seconds since 1970' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l source-date-epoch -d 'As --timestamp (default: the variable SOURCE_DATE_EPOCH)' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l iidfile -d 'Write the image\'s id to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand build" -l metadata-file -d 'Write what was made to this file, as JSON' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand build" -l progress -d 'How progress is shown: auto, plain, tty, rawjson, quiet' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l attest -d 'Attestations are not made; only what turns them off is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l builder -d 'For compatibility: there is one builder, default' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l provenance -d 'Attestations are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l sbom -d 'Software lists are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l no-cache-filter -d 'Take nothing from the cache for these stages' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cache-from -d 'Take results also from here: type=registry,ref=NAME, type=local,src=DIR, or NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cache-to -d 'Put results there: type=registry,ref=NAME or type=local,dest=DIR; with mode=min the files of the image alone' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l network -l net -d 'Network of RUN: default, none, host' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l add-host -d 'Line of /etc/hosts' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l dns -d 'Name server' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l dns-option -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l allow -d 'Allow what a Dockerfile may ask for: security.insecure, network.host' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l device -d 'Device of the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -s v -l volume -d 'Mount a directory of the host for every RUN' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l group-add -d 'Supplementary group' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l userns -d 'User namespace; RUN always has one of its own' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l isolation -d 'Isolation of RUN; it is always that of run' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l jobs -d 'Steps at the same time (default: number of processors, at least 2)' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand build" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand build" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l call -d 'Build nothing: check (as --check), list what can be told (outline) or the stages (targets), as text or JSON' -r
complete -c kelp -n "__fish_kelp_using_subcommand build" -l pull-always -d 'As --pull=always'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l pull-never -d 'As --pull=never'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l load -d 'Put the image in the store (the default)'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l push -d 'Push the image to its names'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l squash -d 'One layer for everything new'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l squash-all -d 'One layer for everything'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l layers -d 'A layer for each step (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l omit-history -d 'Leave the history out'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l rewrite-timestamp -d 'Set the times of files too (they are with --timestamp)'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l compress -d 'For compatibility: nothing is sent anywhere'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l no-cache -d 'Take nothing from the cache'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l rm -d 'Remove containers of steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l force-rm -d 'Remove containers of failed steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand build" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l debug-shell -d 'Enter the last good state in a shell when a RUN fails'
complete -c kelp -n "__fish_kelp_using_subcommand build" -l check -d 'Check the Dockerfile for what may surprise, and build nothing'
complete -c kelp -n "__fish_kelp_using_subcommand build" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand images" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand images" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand images" -l sort -d 'Sort by created, id, repository, size or tag' -r
complete -c kelp -n "__fish_kelp_using_subcommand images" -s a -l all -d 'Show images without a name that others are built on too'
complete -c kelp -n "__fish_kelp_using_subcommand images" -l digests -d 'Show digests'
complete -c kelp -n "__fish_kelp_using_subcommand images" -l no-trunc -d 'Show ids in full'
complete -c kelp -n "__fish_kelp_using_subcommand images" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand images" -s n -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand images" -l tree -d 'Show each image with its platforms'
complete -c kelp -n "__fish_kelp_using_subcommand images" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l policy -d 'When to pull: always, missing, newer (default always)' -r
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand pull" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand pull" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand pull" -s a -l all-tags -d 'Pull every tag of the repository'
complete -c kelp -n "__fish_kelp_using_subcommand pull" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand push" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand push" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand push" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -s f -l format -d 'Notation of the manifest: oci or v2s2 (default: as it came, else oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l compression-format -d 'Compress layers with gzip, zstd or none (default: as they came, else gzip)' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l compression-level -d 'Compress all layers anew at this level: 1 to 9 for gzip, 1 to 20 for zstd' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l digestfile -d 'Write the digest of the manifest to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand push" -l sign-by-sigstore-private-key -d 'Sign what was pushed with this key (as kelp image sign does)' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand push" -l sign-by -d 'Not supported: use kelp image sign' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l encryption-key -d 'Not supported: layers are not encrypted' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l encrypt-layer -d 'Not supported: layers are not encrypted' -r
complete -c kelp -n "__fish_kelp_using_subcommand push" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand push" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand push" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand push" -s a -l all-tags -d 'Push every tag of the repository that is here'
complete -c kelp -n "__fish_kelp_using_subcommand push" -l force-compression -d 'true: compress all layers anew; false: none that is compressed already (default: those in another format than --compression-format)'
complete -c kelp -n "__fish_kelp_using_subcommand push" -l remove-signatures -d 'Leave signatures behind; always so: sign what was pushed with kelp image sign'
complete -c kelp -n "__fish_kelp_using_subcommand push" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand search" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand search" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand search" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -s f -l filter -d 'Only results with stars=N, is-official=BOOL or is-automated=BOOL' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l limit -d 'Most results of each registry (default 25, at most 100 unless tags are listed)' -r
complete -c kelp -n "__fish_kelp_using_subcommand search" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand search" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand search" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand search" -l list-tags -d 'List the tags of a repository'
complete -c kelp -n "__fish_kelp_using_subcommand search" -l no-trunc -d 'Show descriptions in full'
complete -c kelp -n "__fish_kelp_using_subcommand search" -l compatible -d 'As docker does; always so'
complete -c kelp -n "__fish_kelp_using_subcommand search" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand login" -s u -l username -d 'Name of the user' -r
complete -c kelp -n "__fish_kelp_using_subcommand login" -s p -l password -d 'Password; others may see it in the list of processes, so rather use --password-stdin' -r
complete -c kelp -n "__fish_kelp_using_subcommand login" -l authfile -d 'Keep the credentials in this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand login" -l compat-auth-file -d 'Keep the credentials in this file of docker\'s (config.json)' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand login" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand login" -l secret -d 'Not supported: pipe the password in' -r
complete -c kelp -n "__fish_kelp_using_subcommand login" -l password-stdin -d 'Read the password from standard input'
complete -c kelp -n "__fish_kelp_using_subcommand login" -l get-login -d 'Print who is logged in, and do nothing else'
complete -c kelp -n "__fish_kelp_using_subcommand login" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand login" -s v -l verbose -d 'Say where the credentials are kept'
complete -c kelp -n "__fish_kelp_using_subcommand login" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand logout" -l authfile -d 'Remove the credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand logout" -l compat-auth-file -d 'Remove the credentials from this file of docker\'s (config.json)' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand logout" -s a -l all -d 'Forget the logins of all registries'
complete -c kelp -n "__fish_kelp_using_subcommand logout" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand load" -s i -l input -d 'Read this file or directory instead of standard input' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand load" -l platform -d 'Load only this platform' -r
complete -c kelp -n "__fish_kelp_using_subcommand load" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand load" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand save" -s o -l output -d 'Write to this file instead of standard output; a directory with the formats that end in -dir' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand save" -l format -d 'docker-archive, oci-archive, docker-dir or oci-dir (default docker-archive)' -r
complete -c kelp -n "__fish_kelp_using_subcommand save" -l platform -d 'Save only this platform' -r
complete -c kelp -n "__fish_kelp_using_subcommand save" -s m -l multi-image-archive -d 'Several images in one archive; always so in kelp'
complete -c kelp -n "__fish_kelp_using_subcommand save" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand save" -l compress -d 'Compress layers with gzip'
complete -c kelp -n "__fish_kelp_using_subcommand save" -l squash -d 'Make one layer of all'
complete -c kelp -n "__fish_kelp_using_subcommand save" -l uncompressed -d 'Leave layers uncompressed; always so in kelp'
complete -c kelp -n "__fish_kelp_using_subcommand save" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand import" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand import" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand import" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand import" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand import" -s c -l change -d 'Set part of the configuration with a Dockerfile instruction, such as CMD ["sh"]' -r
complete -c kelp -n "__fish_kelp_using_subcommand import" -s m -l message -d 'Comment of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand import" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand import" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand rmi" -s a -l all -d 'All images'
complete -c kelp -n "__fish_kelp_using_subcommand rmi" -s f -l force -d 'Also images that containers use: these are removed too'
complete -c kelp -n "__fish_kelp_using_subcommand rmi" -s i -l ignore -d 'An image that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand rmi" -l no-prune -d 'Keep parents that lose their last name'
complete -c kelp -n "__fish_kelp_using_subcommand rmi" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand tag" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand untag" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand history" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand history" -s H -l human -d 'Sizes and dates for reading (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand history" -l no-trunc -d 'Show everything in full'
complete -c kelp -n "__fish_kelp_using_subcommand history" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand history" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand resolve" -l network -d 'On this network only' -r
complete -c kelp -n "__fish_kelp_using_subcommand resolve" -s q -l quiet -d 'Show addresses only'
complete -c kelp -n "__fish_kelp_using_subcommand resolve" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand inspect" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand inspect" -s t -l type -d 'Only objects of this kind: container, image, network, volume' -r
complete -c kelp -n "__fish_kelp_using_subcommand inspect" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand inspect" -s s -l size -d 'Show sizes too'
complete -c kelp -n "__fish_kelp_using_subcommand inspect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand info" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand info" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand version" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand version" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand doctor" -l user -d 'Look at the host for this user (root only; the user who called sudo unless said)' -r
complete -c kelp -n "__fish_kelp_using_subcommand doctor" -s f -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand doctor" -l fix -d 'Put right what root can put right, with sudo unless run by root'
complete -c kelp -n "__fish_kelp_using_subcommand doctor" -l dry-run -d 'Show what --fix would do and do nothing'
complete -c kelp -n "__fish_kelp_using_subcommand doctor" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand gc" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand unshare" -l rootless-netns -d 'In the network of the containers of user networks: their addresses can be reached from there'
complete -c kelp -n "__fish_kelp_using_subcommand unshare" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand mount" -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand mount" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand mount" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand mount" -l notruncate -l no-trunc -d 'Show ids in full'
complete -c kelp -n "__fish_kelp_using_subcommand mount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand unmount" -s a -l all -d 'All that are mounted'
complete -c kelp -n "__fish_kelp_using_subcommand unmount" -s f -l force -d 'Also those in use'
complete -c kelp -n "__fish_kelp_using_subcommand unmount" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand unmount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand umount" -s a -l all -d 'All that are mounted'
complete -c kelp -n "__fish_kelp_using_subcommand umount" -s f -l force -d 'Also those in use'
complete -c kelp -n "__fish_kelp_using_subcommand umount" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand umount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand completion" -s f -l file -d 'Write to this file instead of standard output' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand completion" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand __complete" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "attach" -d 'Connect to the input and output of a running container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "commit" -d 'Make an image of what a container changed'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "cp" -d 'Copy files between a container and the host'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "create" -d 'Create a container without starting it'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "diff" -d 'Show what a container changed in its file system'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "exec" -d 'Run a command in a running container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "exists" -d 'Say by the exit status whether a container is there: 0 yes, 1 no'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "export" -d 'Write a container\'s file system as a tar archive'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "inspect" -d 'Show all there is to know of containers, as JSON'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "kill" -d 'Send a signal to containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "logs" -d 'Show what containers have printed'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "ls" -d 'List containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "list" -d 'List containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "ps" -d 'List containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "mount" -d 'Mount the files of containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "pause" -d 'Freeze the processes of containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "port" -d 'Show where the ports of a container are published'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "prune" -d 'Remove all containers that do not run'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "rename" -d 'Give a container another name'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "restart" -d 'Stop containers and start them again'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "rm" -d 'Remove containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "remove" -d 'Remove containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "run" -d 'Create a container and run a command in it'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "start" -d 'Start containers that were created or have ended'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "stop" -d 'Ask containers to end, and kill those that do not'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "top" -d 'Show the processes of a container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "unmount" -d 'Unmount the files of containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "umount" -d 'Unmount the files of containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "unpause" -d 'Let frozen containers run on'
complete -c kelp -n "__fish_kelp_using_subcommand container; and not __fish_seen_subcommand_from attach commit cp create diff exec exists export inspect kill logs ls list ps mount pause port prune rename restart rm remove run start stop top unmount umount unpause wait" -f -a "wait" -d 'Wait until containers have ended and show their exit statuses'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from attach" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from attach" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from attach" -l no-stdin -d 'Connect output only'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from attach" -l sig-proxy -d 'Pass signals on to the container (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from attach" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s a -l author -d 'Author of the image, such as "Jo <jo@example.org>"' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s c -l change -d 'Set part of the configuration with a Dockerfile instruction, such as CMD ["sh"]' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -l config -d 'Put the configuration of this JSON file over the container\'s' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s f -l format -d 'oci or docker (default oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -l iidfile -d 'Write the image\'s id to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s m -l message -d 'Comment in the image\'s history' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -l include-volumes -d 'Make the container\'s volumes volumes of the image'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s p -l pause -d 'Freeze the container meanwhile (default: if it has a cgroup)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s s -l squash -d 'Make one layer of all'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from commit" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from cp" -s a -l archive -d 'Keep owner and group'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from cp" -s L -l follow-link -d 'Follow a symbolic link in SOURCE'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from cp" -l overwrite -d 'A directory may replace a file, a file a directory'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from cp" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from cp" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s e -l env -d 'Set a variable; KEY alone takes the caller\'s value, KEY* all the caller\'s with that prefix' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l env-file -d 'Read variables from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l unsetenv -d 'Take away a variable of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l entrypoint -d 'Program to run in place of the image\'s entry point; a JSON array for one with arguments, "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s w -l workdir -d 'Directory to run in' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s u -l user -d 'User, and group, to run as: names of the image or numbers' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l group-add -d 'A further group; keep-groups keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l passwd-entry -d 'The line added to /etc/passwd, with $USERNAME, $UID, $GID, $NAME and $HOME; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l group-entry -d 'The line added to /etc/group, with $GROUPNAME, $GID and $USERLIST; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l umask -d 'File mode mask of the process, octal' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l tz -d 'Time zone; local is the host\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s l -l label -d 'Label on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l label-file -d 'Read labels from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l annotation -d 'OCI annotation on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s v -l volume -d 'Mount a directory of the host or a volume; without SOURCE an anonymous volume' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l mount -d 'Mount in the long form: type=bind|volume|tmpfs|image|glob|devpts,source=…,target=…,…' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l tmpfs -d 'Mount memory' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l volumes-from -d 'Mount the volumes another container has' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l device -d 'Give a device of the host to the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l image-volume -d 'What a VOLUME of the image becomes: anonymous, tmpfs or ignore' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l network -l net -d 'Network: NAME[:ip=,mac=,alias=,gw-priority=,driver-opt=,…], name=NAME,…, none, host, container:NAME, ns:PATH, slirp4netns[:OPTIONS], pasta[:OPTIONS]' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l ip -d 'IPv4 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l ip6 -d 'IPv6 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l mac-address -d 'Hardware address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l network-alias -l net-alias -d 'Another name on every user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l link -d 'Another container by an alias: entry of /etc/hosts, variables that tell its ports' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s p -l publish -d 'Publish a port of the container on the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l expose -d 'Say that the container listens on a port' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s h -l hostname -d 'Name of the container for itself' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l domainname -d 'NIS domain name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l add-host -d 'Line of /etc/hosts; host-gateway is the host\'s address' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l host-access -d 'Servers on the host\'s loopback the container reaches as host.docker.internal: none, ports, or all [default: none]' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l dns -d 'Name server; none leaves /etc/resolv.conf to the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l dns-option -l dns-opt -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l sysctl -d 'Kernel parameter of the container\'s own namespaces' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l pid -d 'Processes: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l ipc -d 'System V IPC, message queues and /dev/shm: private, shareable, none, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l uts -d 'Host name: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroupns -d 'Control groups: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l userns -d 'Ids: host, keep-id[:uid=N,gid=N], nomap, auto[:size=N], container:NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l uidmap -d 'Map user ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l gidmap -d 'Map group ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l log-driver -d 'Keep output with this driver: k8s-file (also called json-file), journald, passthrough or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l log-opt -d 'max-size=SIZE, max-file=N, labels=KEY,…, env=NAME,…, tag=TEXT, path=FILE or mode=MODE: the log is on this host and has no buffer that could lose lines, so blocking and non-blocking are the same' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l restart -d 'Start it again when it ends: no, on-failure[:N], always, unless-stopped' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-signal -d 'Signal that asks it to end' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l stop-timeout -d 'Seconds it has to end before it is killed; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l timeout -d 'Kill it after so many seconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cidfile -d 'Write the container\'s id to this new file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l pidfile -d 'Write the pid of the container\'s process to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l conmon-pidfile -d 'Write the pid of the container\'s monitor to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l health-cmd -d 'Command that checks the container: a shell line, a JSON array of words, or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l health-interval -d 'Time between two checks (30s); disable to check only on `healthcheck run`' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l health-retries -d 'Failures in a row that make it unhealthy (3)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l health-timeout -d 'Time one check may take (30s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l health-start-period -d 'Time after the start in which failures do not count (0s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l health-start-interval -d 'Time between two checks during the start period (5s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l health-on-failure -d 'What to do when it becomes unhealthy: none, kill, restart, stop' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l pull -d 'When to pull the image: missing, always, never, newer' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l name -d 'Name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s a -l attach -d 'Connect only these: stdin, stdout, stderr' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l env-host -d 'Give the container all of the caller\'s variables'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l unsetenv-all -d 'Take away all variables of the image'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l passwd -d 'Add the user and its group to the image\'s /etc/passwd and /etc/group where they are not in it'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s t -l tty -d 'Connect a terminal'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l init -d 'Run an init that reaps and passes signals on as process 1'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l read-only -d 'Make the root file system read-only'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l read-only-tmpfs -d 'Keep /run, /tmp and /var/tmp of a read-only container writable (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s P -l publish-all -d 'Publish every exposed port on a free port of the host'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l privileged -d 'Lift the sandbox: all capabilities of the user namespace, no seccomp filter, nothing masked'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l rm -d 'Remove the container, and its anonymous volumes, when it ends'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l no-healthcheck -d 'Check nothing, whatever the image says'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l rootfs -d 'IMAGE is an unpacked directory of the host; :O keeps it unchanged'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l replace -d 'Remove another container that has the name first'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from create" -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from diff" -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from diff" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from diff" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s e -l env -d 'Set a variable; KEY alone takes the caller\'s value, KEY* all the caller\'s with that prefix' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -l env-file -d 'Read variables from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q; "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s u -l user -d 'User, and group, to run as: names of the image or numbers' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s w -l workdir -d 'Directory to run in' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -l preserve-fds -d 'Pass so many descriptors after 2 into the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -l cidfile -d 'Read the container\'s id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s d -l detach -d 'Leave it running in the background'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s t -l tty -d 'Connect a terminal'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -l privileged -d 'Without the sandbox, as run --privileged'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exec" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from exists" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from export" -s o -l output -d 'Write to this file instead of standard output' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from export" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from inspect" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from inspect" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from inspect" -s s -l size -d 'Show sizes too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from kill" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from kill" -s s -l signal -d 'Signal to send, by name or number (default KILL)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from kill" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from kill" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from kill" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -l since -d 'Only what came after: a time, or a duration back from now such as 10m' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -l until -d 'Only what came before' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -s n -l tail -d 'Only the last N lines' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on showing what comes'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -s t -l timestamps -d 'Show the time of each line'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -l details -d 'Show the labels and variables that --log-opt named too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -l names -d 'Lead each line with the name instead of the id, with several containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -l color -d 'Tell several containers apart by colour'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from logs" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -s n -l last -d 'Show the N newest, running or not' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -l sort -d 'Sort by command, created, id, image, names or status' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -s a -l all -d 'Show those that do not run too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -s l -l latest -d 'Show the newest, running or not'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Show ids, commands and images in full'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -s s -l size -d 'Show how much each has written'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ls" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -s n -l last -d 'Show the N newest, running or not' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -l sort -d 'Sort by command, created, id, image, names or status' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -s a -l all -d 'Show those that do not run too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -s l -l latest -d 'Show the newest, running or not'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -l no-trunc -d 'Show ids, commands and images in full'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -s s -l size -d 'Show how much each has written'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from list" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -s n -l last -d 'Show the N newest, running or not' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -l sort -d 'Sort by command, created, id, image, names or status' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -s a -l all -d 'Show those that do not run too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -s l -l latest -d 'Show the newest, running or not'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -l no-trunc -d 'Show ids, commands and images in full'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -s s -l size -d 'Show how much each has written'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from ps" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from mount" -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from mount" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from mount" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from mount" -l notruncate -l no-trunc -d 'Show ids in full'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from mount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from pause" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from pause" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from pause" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from pause" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from pause" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from port" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from port" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from port" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from prune" -l filter -d 'Only those that match: until=TIME, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from prune" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rename" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -s t -l time -l timeout -d 'Seconds before the kill; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -s s -l signal -d 'Signal to send' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -l running -d 'Only those that run'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from restart" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -s t -l time -l timeout -d 'Seconds before the kill; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -s f -l force -d 'Stop it first if it runs; one that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -s i -l ignore -d 'A container that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -l depend -d 'Remove those that depend on it too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -s v -l volumes -d 'Remove its anonymous volumes too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from rm" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -s t -l time -l timeout -d 'Seconds before the kill; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -s f -l force -d 'Stop it first if it runs; one that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -s i -l ignore -d 'A container that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -l depend -d 'Remove those that depend on it too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -s v -l volumes -d 'Remove its anonymous volumes too'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from remove" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s e -l env -d 'Set a variable; KEY alone takes the caller\'s value, KEY* all the caller\'s with that prefix' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l env-file -d 'Read variables from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l unsetenv -d 'Take away a variable of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l entrypoint -d 'Program to run in place of the image\'s entry point; a JSON array for one with arguments, "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s w -l workdir -d 'Directory to run in' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s u -l user -d 'User, and group, to run as: names of the image or numbers' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l group-add -d 'A further group; keep-groups keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l passwd-entry -d 'The line added to /etc/passwd, with $USERNAME, $UID, $GID, $NAME and $HOME; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l group-entry -d 'The line added to /etc/group, with $GROUPNAME, $GID and $USERLIST; implies --passwd' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l umask -d 'File mode mask of the process, octal' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l tz -d 'Time zone; local is the host\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s l -l label -d 'Label on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l label-file -d 'Read labels from a file, one KEY=VALUE per line' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l annotation -d 'OCI annotation on the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s v -l volume -d 'Mount a directory of the host or a volume; without SOURCE an anonymous volume' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l mount -d 'Mount in the long form: type=bind|volume|tmpfs|image|glob|devpts,source=…,target=…,…' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l tmpfs -d 'Mount memory' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l volumes-from -d 'Mount the volumes another container has' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l device -d 'Give a device of the host to the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l image-volume -d 'What a VOLUME of the image becomes: anonymous, tmpfs or ignore' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l network -l net -d 'Network: NAME[:ip=,mac=,alias=,gw-priority=,driver-opt=,…], name=NAME,…, none, host, container:NAME, ns:PATH, slirp4netns[:OPTIONS], pasta[:OPTIONS]' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l ip -d 'IPv4 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l ip6 -d 'IPv6 address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l mac-address -d 'Hardware address on the user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l network-alias -l net-alias -d 'Another name on every user network' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l link -d 'Another container by an alias: entry of /etc/hosts, variables that tell its ports' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s p -l publish -d 'Publish a port of the container on the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l expose -d 'Say that the container listens on a port' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s h -l hostname -d 'Name of the container for itself' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l domainname -d 'NIS domain name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l add-host -d 'Line of /etc/hosts; host-gateway is the host\'s address' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l host-access -d 'Servers on the host\'s loopback the container reaches as host.docker.internal: none, ports, or all [default: none]' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l dns -d 'Name server; none leaves /etc/resolv.conf to the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l dns-option -l dns-opt -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l sysctl -d 'Kernel parameter of the container\'s own namespaces' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l pid -d 'Processes: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l ipc -d 'System V IPC, message queues and /dev/shm: private, shareable, none, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l uts -d 'Host name: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroupns -d 'Control groups: private, host, container:NAME, ns:PATH' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l userns -d 'Ids: host, keep-id[:uid=N,gid=N], nomap, auto[:size=N], container:NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l uidmap -d 'Map user ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l gidmap -d 'Map group ids of the container to the user\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l log-driver -d 'Keep output with this driver: k8s-file (also called json-file), journald, passthrough or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l log-opt -d 'max-size=SIZE, max-file=N, labels=KEY,…, env=NAME,…, tag=TEXT, path=FILE or mode=MODE: the log is on this host and has no buffer that could lose lines, so blocking and non-blocking are the same' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l restart -d 'Start it again when it ends: no, on-failure[:N], always, unless-stopped' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-signal -d 'Signal that asks it to end' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l stop-timeout -d 'Seconds it has to end before it is killed; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l timeout -d 'Kill it after so many seconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cidfile -d 'Write the container\'s id to this new file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l pidfile -d 'Write the pid of the container\'s process to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l conmon-pidfile -d 'Write the pid of the container\'s monitor to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l health-cmd -d 'Command that checks the container: a shell line, a JSON array of words, or none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l health-interval -d 'Time between two checks (30s); disable to check only on `healthcheck run`' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l health-retries -d 'Failures in a row that make it unhealthy (3)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l health-timeout -d 'Time one check may take (30s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l health-start-period -d 'Time after the start in which failures do not count (0s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l health-start-interval -d 'Time between two checks during the start period (5s)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l health-on-failure -d 'What to do when it becomes unhealthy: none, kill, restart, stop' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l pull -d 'When to pull the image: missing, always, never, newer' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l name -d 'Name of the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s a -l attach -d 'Connect only these: stdin, stdout, stderr' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q; "" for none' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l preserve-fds -d 'Pass so many descriptors after 2 into the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l env-host -d 'Give the container all of the caller\'s variables'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l unsetenv-all -d 'Take away all variables of the image'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l passwd -d 'Add the user and its group to the image\'s /etc/passwd and /etc/group where they are not in it'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s t -l tty -d 'Connect a terminal'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l init -d 'Run an init that reaps and passes signals on as process 1'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l read-only -d 'Make the root file system read-only'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l read-only-tmpfs -d 'Keep /run, /tmp and /var/tmp of a read-only container writable (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s P -l publish-all -d 'Publish every exposed port on a free port of the host'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l privileged -d 'Lift the sandbox: all capabilities of the user namespace, no seccomp filter, nothing masked'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l rm -d 'Remove the container, and its anonymous volumes, when it ends'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l no-healthcheck -d 'Check nothing, whatever the image says'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l rootfs -d 'IMAGE is an unpacked directory of the host; :O keeps it unchanged'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l replace -d 'Remove another container that has the name first'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -s d -l detach -d 'Leave it running in the background and show its id'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l sig-proxy -d 'Pass signals on to the container (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l rmi -d 'Remove the image too when the container ends, unless another uses it'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from run" -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -l detach-keys -d 'Keys that detach, such as ctrl-p,ctrl-q' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -s a -l attach -d 'Connect to its output, and pass its exit status on'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -s i -l interactive -d 'Pass standard input on'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -l all -d 'All containers that do not run'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -l sig-proxy -d 'Pass signals on to the container (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from start" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -s t -l time -l timeout -d 'Seconds before the kill; -1 waits for ever' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -s s -l signal -d 'Signal to send' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -s i -l ignore -d 'A container that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from stop" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from top" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from top" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unmount" -s a -l all -d 'All that are mounted'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unmount" -s f -l force -d 'Also those in use'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unmount" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unmount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from umount" -s a -l all -d 'All that are mounted'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from umount" -s f -l force -d 'Also those in use'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from umount" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from umount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unpause" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unpause" -l cidfile -d 'Read the id from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unpause" -s a -l all -d 'All containers'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unpause" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from unpause" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from wait" -l condition -d 'What to wait for: stopped, running, removed, exited… (default stopped)' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from wait" -s i -l interval -d 'Time between two looks, such as 250ms' -r
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from wait" -s l -l latest -d 'The newest container'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from wait" -l ignore -d 'A container that is not there is no error and shows -1'
complete -c kelp -n "__fish_kelp_using_subcommand container; and __fish_seen_subcommand_from wait" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "build" -d 'Build an image from a Dockerfile'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "diff" -d 'Show what an image changed in the file system below it'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "exists" -d 'Say by the exit status whether an image is there: 0 yes, 1 no'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "history" -d 'Show the steps an image was made in'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "import" -d 'Make an image from a tar archive of a file system'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "inspect" -d 'Show all there is to know of images, as JSON'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "load" -d 'Load images from a docker or OCI archive'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "ls" -d 'List images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "list" -d 'List images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "mount" -d 'Mount images, to be read'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "prune" -d 'Remove images nothing uses'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "pull" -d 'Fetch images from a registry'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "push" -d 'Send an image to a registry'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "rm" -d 'Remove images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "remove" -d 'Remove images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "save" -d 'Write images to an archive'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "search" -d 'Search registries for images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "sign" -d 'Sign images on their registry'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "tag" -d 'Give an image another name'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "tree" -d 'Show the layers of an image as a tree'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "unmount" -d 'Unmount images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "umount" -d 'Unmount images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "untag" -d 'Take names away from an image'
complete -c kelp -n "__fish_kelp_using_subcommand image; and not __fish_seen_subcommand_from build diff exists history import inspect load ls list mount prune pull push rm remove save search sign tag tree unmount umount untag verify" -f -a "verify" -d 'Check signatures of images on their registry'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s f -l file -d 'The Dockerfile (default: Dockerfile or Containerfile in the context; - is standard input)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l build-arg -d 'Value of an ARG; a name alone takes the caller\'s variable. BUILDKIT_CACHE_MOUNT_NS, BUILDKIT_CONTEXT_KEEP_GIT_DIR, BUILDKIT_DOCKERFILE_CHECK and BUILDKIT_SANDBOX_HOSTNAME need no ARG and mean what they mean to BuildKit' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l build-arg-file -d 'Read values of ARGs from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l build-context -d 'A further context: directory, git repository, archive\'s URL, docker-image://IMAGE, oci-layout://DIR[:TAG] or target:STAGE' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l ignorefile -d 'Read patterns of files to leave out from this file instead of .dockerignore' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l target -d 'Stage to build (default: the last one)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l secret -d 'Secret for RUN --mount=type=secret' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l ssh -d 'Agent for RUN --mount=type=ssh' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l pull -d 'Fetch base images: always, missing, newer, never' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s t -l tag -d 'Name of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s o -l output -d 'Where the result goes: DIR, - (a tar archive), or type=local|tar|oci|docker|image|registry|cacheonly[,dest=PATH][,name=NAME]' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l manifest -d 'Put the image into this list of images for several platforms, made if need be' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l label -d 'Label of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l annotation -d 'Annotation of the image\'s manifest; with index: or index,manifest: in front, of the index of several platforms' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l env -d 'Variable of the image, beneath those of the Dockerfile; a name alone takes the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l unsetenv -d 'Leave a variable out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l unsetlabel -d 'Leave a label out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l format -d 'oci or docker (default oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l timestamp -d 'Time of the image and latest of its files, seconds since 1970' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l source-date-epoch -d 'As --timestamp (default: the variable SOURCE_DATE_EPOCH)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l iidfile -d 'Write the image\'s id to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l metadata-file -d 'Write what was made to this file, as JSON' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l progress -d 'How progress is shown: auto, plain, tty, rawjson, quiet' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l attest -d 'Attestations are not made; only what turns them off is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l builder -d 'For compatibility: there is one builder, default' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l provenance -d 'Attestations are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l sbom -d 'Software lists are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l no-cache-filter -d 'Take nothing from the cache for these stages' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cache-from -d 'Take results also from here: type=registry,ref=NAME, type=local,src=DIR, or NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cache-to -d 'Put results there: type=registry,ref=NAME or type=local,dest=DIR; with mode=min the files of the image alone' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l network -l net -d 'Network of RUN: default, none, host' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l add-host -d 'Line of /etc/hosts' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l dns -d 'Name server' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l dns-option -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l allow -d 'Allow what a Dockerfile may ask for: security.insecure, network.host' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l device -d 'Device of the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s v -l volume -d 'Mount a directory of the host for every RUN' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l group-add -d 'Supplementary group' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l userns -d 'User namespace; RUN always has one of its own' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l isolation -d 'Isolation of RUN; it is always that of run' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l jobs -d 'Steps at the same time (default: number of processors, at least 2)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l call -d 'Build nothing: check (as --check), list what can be told (outline) or the stages (targets), as text or JSON' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l pull-always -d 'As --pull=always'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l pull-never -d 'As --pull=never'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l load -d 'Put the image in the store (the default)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l push -d 'Push the image to its names'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l squash -d 'One layer for everything new'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l squash-all -d 'One layer for everything'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l layers -d 'A layer for each step (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l omit-history -d 'Leave the history out'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l rewrite-timestamp -d 'Set the times of files too (they are with --timestamp)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l compress -d 'For compatibility: nothing is sent anywhere'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l no-cache -d 'Take nothing from the cache'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l rm -d 'Remove containers of steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l force-rm -d 'Remove containers of failed steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l debug-shell -d 'Enter the last good state in a shell when a RUN fails'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -l check -d 'Check the Dockerfile for what may surprise, and build nothing'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from build" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from diff" -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from diff" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from exists" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from history" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from history" -s H -l human -d 'Sizes and dates for reading (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from history" -l no-trunc -d 'Show everything in full'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from history" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from history" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -s c -l change -d 'Set part of the configuration with a Dockerfile instruction, such as CMD ["sh"]' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -s m -l message -d 'Comment of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from import" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from inspect" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from load" -s i -l input -d 'Read this file or directory instead of standard input' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from load" -l platform -d 'Load only this platform' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from load" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from load" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -l sort -d 'Sort by created, id, repository, size or tag' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -s a -l all -d 'Show images without a name that others are built on too'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -l digests -d 'Show digests'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Show ids in full'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -s n -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -l tree -d 'Show each image with its platforms'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -l sort -d 'Sort by created, id, repository, size or tag' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -s a -l all -d 'Show images without a name that others are built on too'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -l digests -d 'Show digests'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -l no-trunc -d 'Show ids in full'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -s n -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -l tree -d 'Show each image with its platforms'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from list" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from mount" -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from mount" -s a -l all -d 'All images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from mount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from prune" -l filter -d 'Only those that match: until=TIME, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from prune" -s a -l all -d 'All images no container uses, not only those without a name'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from prune" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l policy -d 'When to pull: always, missing, newer (default always)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -s a -l all-tags -d 'Pull every tag of the repository'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from pull" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -s f -l format -d 'Notation of the manifest: oci or v2s2 (default: as it came, else oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l compression-format -d 'Compress layers with gzip, zstd or none (default: as they came, else gzip)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l compression-level -d 'Compress all layers anew at this level: 1 to 9 for gzip, 1 to 20 for zstd' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l digestfile -d 'Write the digest of the manifest to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l sign-by-sigstore-private-key -d 'Sign what was pushed with this key (as kelp image sign does)' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l sign-by -d 'Not supported: use kelp image sign' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l encryption-key -d 'Not supported: layers are not encrypted' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l encrypt-layer -d 'Not supported: layers are not encrypted' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -s a -l all-tags -d 'Push every tag of the repository that is here'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l force-compression -d 'true: compress all layers anew; false: none that is compressed already (default: those in another format than --compression-format)'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -l remove-signatures -d 'Leave signatures behind; always so: sign what was pushed with kelp image sign'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from push" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from rm" -s a -l all -d 'All images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from rm" -s f -l force -d 'Also images that containers use: these are removed too'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from rm" -s i -l ignore -d 'An image that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from rm" -l no-prune -d 'Keep parents that lose their last name'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from remove" -s a -l all -d 'All images'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from remove" -s f -l force -d 'Also images that containers use: these are removed too'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from remove" -s i -l ignore -d 'An image that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from remove" -l no-prune -d 'Keep parents that lose their last name'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from remove" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -s o -l output -d 'Write to this file instead of standard output; a directory with the formats that end in -dir' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -l format -d 'docker-archive, oci-archive, docker-dir or oci-dir (default docker-archive)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -l platform -d 'Save only this platform' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -s m -l multi-image-archive -d 'Several images in one archive; always so in kelp'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -l compress -d 'Compress layers with gzip'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -l squash -d 'Make one layer of all'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -l uncompressed -d 'Leave layers uncompressed; always so in kelp'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from save" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -s f -l filter -d 'Only results with stars=N, is-official=BOOL or is-automated=BOOL' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l limit -d 'Most results of each registry (default 25, at most 100 unless tags are listed)' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l list-tags -d 'List the tags of a repository'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l no-trunc -d 'Show descriptions in full'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -l compatible -d 'As docker does; always so'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from search" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l key -d 'Private key: ed25519 or ECDSA P-256 in PEM, not encrypted' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from sign" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from tag" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from tree" -l whatrequires -d 'Show what is built upon the image in place of what it is made of'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from tree" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from unmount" -s a -l all -d 'All that are mounted'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from unmount" -s f -l force -d 'Also those in use'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from unmount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from umount" -s a -l all -d 'All that are mounted'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from umount" -s f -l force -d 'Also those in use'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from umount" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from untag" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l key -d 'Public key: ed25519 or ECDSA P-256 in PEM' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand image; and __fish_seen_subcommand_from verify" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "connect" -d 'Put a container on a network, also while it runs'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "create" -d 'Make a network on which containers find each other by name'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "disconnect" -d 'Take a container off a network, also while it runs'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "exists" -d 'Say by the exit status whether a network is there: 0 yes, 1 no'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "inspect" -d 'Show all there is to know of networks, as JSON'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "ls" -d 'List networks'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "list" -d 'List networks'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "prune" -d 'Remove networks no container uses'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "reload" -d 'Take running containers off their networks and put them on again'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "rm" -d 'Remove networks'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "remove" -d 'Remove networks'
complete -c kelp -n "__fish_kelp_using_subcommand network; and not __fish_seen_subcommand_from connect create disconnect exists inspect ls list prune reload rm remove update" -f -a "update" -d 'Change the name servers of a network, for running containers too'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -l alias -d 'Another name of the container on this network' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -l ip -d 'IPv4 address' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -l ip6 -d 'IPv6 address' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -l mac-address -d 'Hardware address' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -l link -d 'Another container by an alias, on this network: entry of /etc/hosts' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -l driver-opt -d 'Option of the link inside: com.docker.network.endpoint.ifname, com.docker.network.endpoint.sysctls' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -l gw-priority -d 'The network with the highest is the container\'s way out [default: 0]' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from connect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -s d -l driver -d 'bridge is the one there is' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l subnet -d 'Addresses of the network, at most one of each family; chosen when absent' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l gateway -d 'Address of the gateway; the first of the subnet when absent' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l ip-range -d 'Addresses that containers get without asking, of those of the subnet' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l aux-address -d 'Address no container gets, since something else has it' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l label -d 'Label on the network' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -s o -l opt -d 'mtu=BYTES, isolate=false (reach other networks that have it too), metric=N (of its default route), no_default_route=true' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l route -d 'Another route its containers have, by an address on the network' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l dns -d 'Server that is asked for names outside of the network, in place of the host\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l interface-name -d 'Name of the bridge' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l ipam-driver -d 'default or host-local: kelp\'s own way of choosing addresses' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l scope -d 'For compatibility' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l ipv6 -d 'IPv6 too, with addresses of its own (ULA) when no --subnet says'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l ipv4 -d 'IPv4 (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l internal -d 'Without a way out'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l disable-dns -d 'No names: containers find each other by address only'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l ignore -d 'A network that is there already is no error'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -l attachable -d 'For compatibility'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from create" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from disconnect" -s f -l force -d 'A container that is gone, or not on the network, is no error'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from disconnect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from exists" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from inspect" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from ls" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from ls" -l no-trunc -d 'Show full ids'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from ls" -s n -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from ls" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from list" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from list" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from list" -l no-trunc -d 'Show full ids'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Show ids only'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from list" -s n -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from list" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from prune" -l filter -d 'Only those that match: label=…, until=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from prune" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from reload" -s a -l all -d 'All that run'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from reload" -s l -l latest -d 'The newest'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from reload" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from rm" -s t -l time -d 'With --force: remove the containers that use it, those that run after so many seconds at most (-1: when they end)' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from rm" -s f -l force -d 'A network that is not there is no error; one in use stays, unless --time is given too'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from rm" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from remove" -s t -l time -d 'With --force: remove the containers that use it, those that run after so many seconds at most (-1: when they end)' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from remove" -s f -l force -d 'A network that is not there is no error; one in use stays, unless --time is given too'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from remove" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from update" -l dns-add -d 'One more server for names outside of the network' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from update" -l dns-drop -d 'One server less' -r
complete -c kelp -n "__fish_kelp_using_subcommand network; and __fish_seen_subcommand_from update" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and not __fish_seen_subcommand_from build du prune" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and not __fish_seen_subcommand_from build du prune" -f -a "build" -d 'Build an image from a Dockerfile'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and not __fish_seen_subcommand_from build du prune" -f -a "du" -d 'Show what the cache of builds takes'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and not __fish_seen_subcommand_from build du prune" -f -a "prune" -d 'Remove the cache of builds'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s f -l file -d 'The Dockerfile (default: Dockerfile or Containerfile in the context; - is standard input)' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l build-arg -d 'Value of an ARG; a name alone takes the caller\'s variable. BUILDKIT_CACHE_MOUNT_NS, BUILDKIT_CONTEXT_KEEP_GIT_DIR, BUILDKIT_DOCKERFILE_CHECK and BUILDKIT_SANDBOX_HOSTNAME need no ARG and mean what they mean to BuildKit' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l build-arg-file -d 'Read values of ARGs from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l build-context -d 'A further context: directory, git repository, archive\'s URL, docker-image://IMAGE, oci-layout://DIR[:TAG] or target:STAGE' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l ignorefile -d 'Read patterns of files to leave out from this file instead of .dockerignore' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l target -d 'Stage to build (default: the last one)' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l secret -d 'Secret for RUN --mount=type=secret' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l ssh -d 'Agent for RUN --mount=type=ssh' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l pull -d 'Fetch base images: always, missing, newer, never' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s t -l tag -d 'Name of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s o -l output -d 'Where the result goes: DIR, - (a tar archive), or type=local|tar|oci|docker|image|registry|cacheonly[,dest=PATH][,name=NAME]' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l manifest -d 'Put the image into this list of images for several platforms, made if need be' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l label -d 'Label of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l annotation -d 'Annotation of the image\'s manifest; with index: or index,manifest: in front, of the index of several platforms' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l env -d 'Variable of the image, beneath those of the Dockerfile; a name alone takes the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l unsetenv -d 'Leave a variable out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l unsetlabel -d 'Leave a label out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l format -d 'oci or docker (default oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l timestamp -d 'Time of the image and latest of its files, seconds since 1970' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l source-date-epoch -d 'As --timestamp (default: the variable SOURCE_DATE_EPOCH)' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l iidfile -d 'Write the image\'s id to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l metadata-file -d 'Write what was made to this file, as JSON' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l progress -d 'How progress is shown: auto, plain, tty, rawjson, quiet' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l attest -d 'Attestations are not made; only what turns them off is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l builder -d 'For compatibility: there is one builder, default' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l provenance -d 'Attestations are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l sbom -d 'Software lists are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l no-cache-filter -d 'Take nothing from the cache for these stages' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cache-from -d 'Take results also from here: type=registry,ref=NAME, type=local,src=DIR, or NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cache-to -d 'Put results there: type=registry,ref=NAME or type=local,dest=DIR; with mode=min the files of the image alone' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l network -l net -d 'Network of RUN: default, none, host' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l add-host -d 'Line of /etc/hosts' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l dns -d 'Name server' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l dns-option -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l allow -d 'Allow what a Dockerfile may ask for: security.insecure, network.host' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l device -d 'Device of the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s v -l volume -d 'Mount a directory of the host for every RUN' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l group-add -d 'Supplementary group' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l userns -d 'User namespace; RUN always has one of its own' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l isolation -d 'Isolation of RUN; it is always that of run' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l jobs -d 'Steps at the same time (default: number of processors, at least 2)' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l call -d 'Build nothing: check (as --check), list what can be told (outline) or the stages (targets), as text or JSON' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l pull-always -d 'As --pull=always'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l pull-never -d 'As --pull=never'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l load -d 'Put the image in the store (the default)'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l push -d 'Push the image to its names'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l squash -d 'One layer for everything new'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l squash-all -d 'One layer for everything'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l layers -d 'A layer for each step (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l omit-history -d 'Leave the history out'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l rewrite-timestamp -d 'Set the times of files too (they are with --timestamp)'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l compress -d 'For compatibility: nothing is sent anywhere'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l no-cache -d 'Take nothing from the cache'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l rm -d 'Remove containers of steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l force-rm -d 'Remove containers of failed steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l debug-shell -d 'Enter the last good state in a shell when a RUN fails'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -l check -d 'Check the Dockerfile for what may surprise, and build nothing'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from build" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from du" -l filter -d 'Only those that match, as with prune' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from du" -l verbose -d 'Show whole names and instructions'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from du" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from prune" -l filter -d 'Only those that match: id=, type=, description=, shared=, until=DURATION (not used for so long)' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from prune" -l keep-storage -l reserved-space -l max-used-space -d 'Keep so much, used last' -r
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from prune" -s a -l all -d 'Also steps whose layers images have'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from prune" -l verbose -d 'Name what goes'
complete -c kelp -n "__fish_kelp_using_subcommand builder; and __fish_seen_subcommand_from prune" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and not __fish_seen_subcommand_from build du prune" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and not __fish_seen_subcommand_from build du prune" -f -a "build" -d 'Build an image from a Dockerfile'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and not __fish_seen_subcommand_from build du prune" -f -a "du" -d 'Show what the cache of builds takes'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and not __fish_seen_subcommand_from build du prune" -f -a "prune" -d 'Remove the cache of builds'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s f -l file -d 'The Dockerfile (default: Dockerfile or Containerfile in the context; - is standard input)' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l build-arg -d 'Value of an ARG; a name alone takes the caller\'s variable. BUILDKIT_CACHE_MOUNT_NS, BUILDKIT_CONTEXT_KEEP_GIT_DIR, BUILDKIT_DOCKERFILE_CHECK and BUILDKIT_SANDBOX_HOSTNAME need no ARG and mean what they mean to BuildKit' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l build-arg-file -d 'Read values of ARGs from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l build-context -d 'A further context: directory, git repository, archive\'s URL, docker-image://IMAGE, oci-layout://DIR[:TAG] or target:STAGE' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l ignorefile -d 'Read patterns of files to leave out from this file instead of .dockerignore' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l target -d 'Stage to build (default: the last one)' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l secret -d 'Secret for RUN --mount=type=secret' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l ssh -d 'Agent for RUN --mount=type=ssh' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l pull -d 'Fetch base images: always, missing, newer, never' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s t -l tag -d 'Name of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s o -l output -d 'Where the result goes: DIR, - (a tar archive), or type=local|tar|oci|docker|image|registry|cacheonly[,dest=PATH][,name=NAME]' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l manifest -d 'Put the image into this list of images for several platforms, made if need be' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l label -d 'Label of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l annotation -d 'Annotation of the image\'s manifest; with index: or index,manifest: in front, of the index of several platforms' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l env -d 'Variable of the image, beneath those of the Dockerfile; a name alone takes the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l unsetenv -d 'Leave a variable out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l unsetlabel -d 'Leave a label out of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l format -d 'oci or docker (default oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l timestamp -d 'Time of the image and latest of its files, seconds since 1970' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l source-date-epoch -d 'As --timestamp (default: the variable SOURCE_DATE_EPOCH)' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l iidfile -d 'Write the image\'s id to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l metadata-file -d 'Write what was made to this file, as JSON' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l progress -d 'How progress is shown: auto, plain, tty, rawjson, quiet' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l attest -d 'Attestations are not made; only what turns them off is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l builder -d 'For compatibility: there is one builder, default' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l provenance -d 'Attestations are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l sbom -d 'Software lists are not made; only false is taken' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l no-cache-filter -d 'Take nothing from the cache for these stages' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cache-from -d 'Take results also from here: type=registry,ref=NAME, type=local,src=DIR, or NAME' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cache-to -d 'Put results there: type=registry,ref=NAME or type=local,dest=DIR; with mode=min the files of the image alone' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l network -l net -d 'Network of RUN: default, none, host' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l add-host -d 'Line of /etc/hosts' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l dns -d 'Name server' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l dns-search -d 'Domain to search names in' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l dns-option -d 'Option of resolv.conf' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l allow -d 'Allow what a Dockerfile may ask for: security.insecure, network.host' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cap-add -d 'Add a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cap-drop -d 'Drop a capability, or ALL' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l device -d 'Device of the host' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s v -l volume -d 'Mount a directory of the host for every RUN' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l security-opt -d 'seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l ulimit -d 'Resource limit; host keeps the caller\'s' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l fake-ids -d 'Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l shm-size -d 'Size of /dev/shm' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l group-add -d 'Supplementary group' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l userns -d 'User namespace; RUN always has one of its own' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l isolation -d 'Isolation of RUN; it is always that of run' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l jobs -d 'Steps at the same time (default: number of processors, at least 2)' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s m -l memory -d 'Memory limit' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l memory-reservation -d 'Memory the container may count on' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l memory-swap -d 'Memory and swap together; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cpus -d 'Number of processors, such as 1.5' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cpu-period -d 'Length of the scheduler\'s period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cpu-quota -d 'Processor time per period, microseconds' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s c -l cpu-shares -d 'Share of processor time when it is scarce; 1024 is the usual one' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cpuset-cpus -d 'Processors to run on, such as 0-2,4' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cpuset-mems -d 'Memory nodes to use' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l pids-limit -d 'Number of processes; -1 is unlimited' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l oom-score-adj -d 'Preference to be killed when memory is scarce, -1000 to 1000' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cgroup-parent -d 'Control group to put the container\'s under' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l platform -d 'Platform of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l retry -d 'How often a failed transfer is tried again' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l retry-delay -d 'Time between two tries, such as 2s' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l call -d 'Build nothing: check (as --check), list what can be told (outline) or the stages (targets), as text or JSON' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l pull-always -d 'As --pull=always'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l pull-never -d 'As --pull=never'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l load -d 'Put the image in the store (the default)'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l push -d 'Push the image to its names'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l squash -d 'One layer for everything new'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l squash-all -d 'One layer for everything'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l layers -d 'A layer for each step (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l omit-history -d 'Leave the history out'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l rewrite-timestamp -d 'Set the times of files too (they are with --timestamp)'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l compress -d 'For compatibility: nothing is sent anywhere'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l no-cache -d 'Take nothing from the cache'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l rm -d 'Remove containers of steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l force-rm -d 'Remove containers of failed steps (always so)'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l no-hosts -d 'Leave /etc/hosts to the image'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l no-hostname -d 'Leave /etc/hostname to the image'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l http-proxy -d 'Pass the caller\'s proxy variables on (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l tls-verify -d 'Check the registry\'s certificate (default true); false also allows plain HTTP'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l disable-content-trust -d 'For compatibility; kelp checks no content trust'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l debug-shell -d 'Enter the last good state in a shell when a RUN fails'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -l check -d 'Check the Dockerfile for what may surprise, and build nothing'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from build" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from du" -l filter -d 'Only those that match, as with prune' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from du" -l verbose -d 'Show whole names and instructions'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from du" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from prune" -l filter -d 'Only those that match: id=, type=, description=, shared=, until=DURATION (not used for so long)' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from prune" -l keep-storage -l reserved-space -l max-used-space -d 'Keep so much, used last' -r
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from prune" -s a -l all -d 'Also steps whose layers images have'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from prune" -l verbose -d 'Name what goes'
complete -c kelp -n "__fish_kelp_using_subcommand buildx; and __fish_seen_subcommand_from prune" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "add" -d 'Put an image into a list'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "annotate" -d 'Say more about an image of a list, or about the list'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "create" -d 'Make a list of images for several platforms'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "exists" -d 'Tell by the exit status whether there is a list'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "inspect" -d 'Show a list, or the manifest of an image'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "push" -d 'Send the images of a list and the list to a registry'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "remove" -d 'Take an image out of a list'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and not __fish_seen_subcommand_from add annotate create exists inspect push remove rm" -f -a "rm" -d 'Remove lists; their images stay'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l os-version -d 'Version of the operating system' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l features -d 'Features of the processor it needs' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l annotation -d 'Annotation, repeatable' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l all -d 'Of an image for several platforms, all'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -l tls-verify -d 'Check the registry\'s certificate (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from add" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l os -d 'Operating system of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l arch -d 'Architecture of the image' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l variant -d 'Variant of the architecture' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l os-version -d 'Version of the operating system' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l features -d 'Features of the processor it needs' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l annotation -d 'Annotation, repeatable' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l os-features -d 'Features of the operating system it needs' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l index -d 'Annotate the list itself'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from create" -l annotation -d 'Annotation of the list, repeatable' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from create" -s a -l amend -d 'Add to a list that is there'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from create" -l all -d 'Of an image for several platforms on a registry, all'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from create" -l insecure -d 'Allow plain HTTP and unknown certificates'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from create" -l tls-verify -d 'Check the registry\'s certificate (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from create" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from exists" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l insecure -d 'Allow plain HTTP and unknown certificates'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l tls-verify -d 'Check the registry\'s certificate (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l authfile -d 'Read registry credentials from this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l cert-dir -d 'Directory with certificates of the registry' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l compression-format -d 'Compress layers with gzip, zstd or none (default gzip)' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l compression-level -d 'Level of compression: 1 to 9 for gzip, 1 to 20 for zstd' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l creds -d 'Credentials for the registry' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l digestfile -d 'Write the digest of the list to this file' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -s f -l format -d 'Notation: oci or v2s2 (default oci)' -r
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l all -d 'Send the images too; always so in kelp'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l force-compression -d 'true: compress all layers anew; false: none that is compressed already (default: those in another format than --compression-format)'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l insecure -d 'Allow plain HTTP and unknown certificates'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l rm -l purge -d 'Remove the list here when it has been sent'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -s q -l quiet -d 'Show no progress'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l remove-signatures -d 'Leave signatures behind; always so'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -l tls-verify -d 'Check the registry\'s certificate (default true)'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from push" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from remove" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from rm" -s i -l ignore -d 'One that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand manifest; and __fish_seen_subcommand_from rm" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "create" -d 'Make a volume'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "exists" -d 'Say by the exit status whether a volume is there: 0 yes, 1 no'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "export" -d 'Write a volume\'s files as a tar archive'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "import" -d 'Unpack a tar archive into a volume'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "inspect" -d 'Show all there is to know of volumes, as JSON'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "ls" -d 'List volumes'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "list" -d 'List volumes'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "prune" -d 'Remove volumes no container uses'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "rm" -d 'Remove volumes'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and not __fish_seen_subcommand_from create exists export import inspect ls list prune rm remove" -f -a "remove" -d 'Remove volumes'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from create" -s d -l driver -d 'local is the one there is' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from create" -s l -l label -d 'Label on the volume' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from create" -s o -l opt -d 'Option of the driver: type, device, o' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from create" -l uid -d 'Owner in the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from create" -l gid -d 'Group in the container' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from create" -l ignore -d 'A volume that is there already is no error'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from create" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from exists" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from export" -s o -l output -d 'Write to this file instead of standard output' -r -F
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from export" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from import" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s a -l all -d 'All volumes'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from ls" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from ls" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Show names only'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from ls" -s n -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from ls" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from list" -s f -l filter -d 'Only those that match' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from list" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Show names only'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from list" -s n -l noheading -d 'Without the heading'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from list" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from prune" -l filter -d 'Only those that match: label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from prune" -s a -l all -d 'Named volumes too, not only anonymous ones'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from prune" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from rm" -s t -l time -d 'For compatibility' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from rm" -s a -l all -d 'All volumes'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from rm" -s f -l force -d 'A volume that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from rm" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from remove" -s t -l time -d 'For compatibility' -r
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from remove" -s a -l all -d 'All volumes'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from remove" -s f -l force -d 'A volume that is not there is no error'
complete -c kelp -n "__fish_kelp_using_subcommand volume; and __fish_seen_subcommand_from remove" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand healthcheck; and not __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand healthcheck; and not __fish_seen_subcommand_from run" -f -a "run" -d 'Check the health of a container now'
complete -c kelp -n "__fish_kelp_using_subcommand healthcheck; and __fish_seen_subcommand_from run" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -s h -l help -d 'Print help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -f -a "check" -d 'Check that images, layers and containers are what they should be'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -f -a "df" -d 'Show what images, containers and volumes take of the disk'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -f -a "doctor" -d 'Look at what this host has and lacks for containers, and put it right'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -f -a "gc" -d 'Remove what interrupted commands left behind'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -f -a "info" -d 'Show facts of this kelp and this host'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -f -a "prune" -d 'Remove everything nothing uses'
complete -c kelp -n "__fish_kelp_using_subcommand system; and not __fish_seen_subcommand_from check df doctor gc info prune reset" -f -a "reset" -d 'Remove everything but the configuration'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from check" -s q -l quick -d 'Records only, not the contents of layers'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from check" -s r -l repair -d 'Fetch again what is missing or damaged'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from check" -s f -l force -d 'With --repair, remove images and containers that cannot be repaired'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from check" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from df" -l format -d 'Show with a Go template, json, or table TEMPLATE' -r
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from df" -s v -l verbose -d 'Show each image, container and volume'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from df" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from doctor" -l user -d 'Look at the host for this user (root only; the user who called sudo unless said)' -r
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from doctor" -s f -l format -d 'Show as json' -r
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from doctor" -l fix -d 'Put right what root can put right, with sudo unless run by root'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from doctor" -l dry-run -d 'Show what --fix would do and do nothing'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from doctor" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from gc" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from info" -s f -l format -d 'Show with a Go template, or json' -r
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from info" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from prune" -l filter -d 'Only those that match: until=TIME, label=…' -r
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from prune" -s a -l all -d 'All images no container uses, not only those without a name'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from prune" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from prune" -l volumes -d 'Anonymous volumes too'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from prune" -l build -d 'What interrupted builds left too; always so in kelp'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from prune" -s h -l help -d 'Show this help'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from reset" -s f -l force -d 'Do not ask'
complete -c kelp -n "__fish_kelp_using_subcommand system; and __fish_seen_subcommand_from reset" -s h -l help -d 'Show this help'

complete -c kelp -f -n 'test -n "$(kelp __complete (commandline -opc)[2..] 2>/dev/null)"' -a '(kelp __complete (commandline -opc)[2..] 2>/dev/null)'
