//! Applications of several containers on a network, made of Debian's own packages: a blog with its database, a site with
//! another one, and a server that tells a client on another machine.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use crate::needs;
use crate::support::{Kelp, debian_tar, free_port, http};

const MINUTES: Duration = Duration::from_secs(600);

/// Debian with these packages, as the image `app`.
fn with_packages(packages: &str) -> Kelp {
    let kelp = Kelp::new();
    let tar = debian_tar().unwrap();
    kelp.run([OsStr::new("import"), tar.as_os_str(), OsStr::new("debian")]).success();
    let script = format!(
        "set -e; export DEBIAN_FRONTEND=noninteractive; printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; \
         chmod 755 /usr/sbin/policy-rc.d; apt-get update -qq; apt-get install -y -qq --no-install-recommends {packages} >/dev/null"
    );
    kelp.cmd(["run", "--name", "build", "debian", "bash", "-c", &script]).limit(MINUTES).output().success();
    kelp.cmd(["commit", "build", "app"]).limit(MINUTES).output().success();
    kelp.ok(["rm", "build"]);
    kelp
}

/// Waits until the page at this path has this text.
#[track_caller]
fn page_has(kelp: &Kelp, name: &str, port: u16, path: &str, text: &str) {
    let begun = Instant::now();
    loop {
        assert_eq!(kelp.inspect(name, "{{.State.Running}}"), "true", "{:?}", kelp.run(["logs", name]));
        let page = http::get(("127.0.0.1", port), path).map_or_else(|error| error.to_string(), |answer| answer.text());
        if page.contains(text) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "no {text:?} at {path}: {page}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs a Debian mirror"]
fn wordpress_and_mariadb_on_a_network() {
    needs!("debian", "slirp");
    let kelp = with_packages("mariadb-server wordpress php-cli php-mysql");
    let port = free_port();
    // The database is started first and on its own, as one does before one knows of networks.
    let database = "set -e; [ -e /var/lib/mysql/mysql ] || mariadb-install-db --user=mysql >/dev/null; mkdir -p /run/mysqld; chown mysql /run/mysqld; \
        printf '%s\\n' \"create database if not exists wp;\" \"create user if not exists wp@'%' identified by 'secret';\" \"grant all on wp.* to wp@'%';\" > /tmp/init.sql; \
        exec mariadbd --user=mysql --bind-address=0.0.0.0 --init-file=/tmp/init.sql";
    kelp.detached(&["--name", "mysql", "-v", "dbdata:/var/lib/mysql", "app", "bash", "-c", database]);
    kelp.ok(["network", "create", "app-network"]);
    let blog = "set -e; cat > /etc/wordpress/config-default.php <<'PHP'\n<?php\ndefine('DB_NAME', 'wp'); define('DB_USER', 'wp'); \
        define('DB_PASSWORD', 'secret'); define('DB_HOST', 'mysql'); define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content'); define('WP_HTTP_BLOCK_EXTERNAL', true);\nPHP\n\
        cd /usr/share/wordpress; exec php -S 0.0.0.0:80";
    let publish = format!("127.0.0.1:{port}:80");
    kelp.detached(&["--name", "wordpress", "--network", "app-network", "-p", &publish, "app", "bash", "-c", blog]);
    page_has(&kelp, "wordpress", port, "/wp-admin/install.php?step=1", "Error establishing a database connection");
    kelp.run(["network", "connect", "app-network", "mysql"]).success();
    page_has(&kelp, "wordpress", port, "/wp-admin/install.php?step=1", "Welcome");
    let install = "php -r '$_GET[\"step\"] = 2; define(\"WP_INSTALLING\", true); $_SERVER[\"HTTP_HOST\"] = \"127.0.0.1:PORT\"; \
        require \"/usr/share/wordpress/wp-load.php\"; require \"/usr/share/wordpress/wp-admin/includes/upgrade.php\"; \
        wp_install(\"A blog on kelp\", \"admin\", \"a@example.org\", true, \"\", \"password\"); echo \"installed\";'"
        .replace("PORT", &port.to_string());
    kelp.cmd(["exec", "wordpress", "bash", "-c", &install]).limit(MINUTES).output().stdout_has("installed");
    page_has(&kelp, "wordpress", port, "/wp-login.php", "A blog on kelp");
    // The database moves to another container, by the same name and with the same data.
    kelp.ok(["rm", "-f", "-t", "30", "mysql"]);
    kelp.detached(&["--name", "mysql", "--network", "app-network", "-v", "dbdata:/var/lib/mysql", "app", "bash", "-c", database]);
    page_has(&kelp, "wordpress", port, "/wp-login.php", "A blog on kelp");
}

#[test]
#[ignore = "needs a Debian mirror"]
fn django_and_postgres_by_name_and_by_link() {
    needs!("debian", "slirp");
    let kelp = with_packages("postgresql-15 python3-django python3-psycopg2");
    let database = "set -e; d=/data; mkdir -p $d; chown postgres $d; chmod 700 $d; b=/usr/lib/postgresql/15/bin; \
        [ -e $d/PG_VERSION ] || su postgres -c \"$b/initdb -D $d -A trust\" >/dev/null; echo 'host all all all trust' >> $d/pg_hba.conf; \
        exec su postgres -c \"exec $b/postgres -D $d -c unix_socket_directories=/tmp -c listen_addresses='*'\"";
    let site = |host: &str| {
        format!(
            "set -e; cd /srv; django-admin startproject shop .; cat >> shop/settings.py <<'PY'\nALLOWED_HOSTS = ['*']\n\
             DATABASES = {{'default': {{'ENGINE': 'django.db.backends.postgresql', 'NAME': 'postgres', 'USER': 'postgres', 'HOST': {host}}}}}\nPY\n\
             sed -i '1i import os' shop/settings.py; until python3 manage.py migrate >/dev/null; do sleep 0.5; done; \
             exec python3 manage.py runserver --noreload 0.0.0.0:8000"
        )
    };
    kelp.ok(["network", "create", "app"]);
    kelp.detached(&["--name", "db", "--network", "app", "--expose", "5432", "app", "bash", "-c", database]);
    let tables = "psql -h /tmp -U postgres -AtXc \"select count(*) from pg_tables where tablename = 'django_session'\"";
    for (name, flags, host) in [
        ("web", vec!["--network", "app"], "'db'"),
        // Started on the default network, linked to one that is on another.
        ("linked", vec!["--link", "db:postgres"], "os.environ['POSTGRES_PORT_5432_TCP_ADDR']"),
    ] {
        let port = free_port();
        let publish = format!("127.0.0.1:{port}:8000");
        let script = site(host);
        let mut all = vec!["--name", name, "-p", &publish];
        all.extend(flags);
        all.extend(["app", "bash", "-c", &script]);
        kelp.detached(&all);
        page_has(&kelp, name, port, "/admin/login/", "Django administration");
        assert_eq!(kelp.run(["exec", "-u", "postgres", "db", "bash", "-c", tables]).text(), "1");
    }
    kelp.run(["exec", "linked", "cat", "/etc/hosts"]).stdout_has("postgres");
}

/// A network namespace of the test's own plays the host, another one the other machine.
#[test]
fn a_client_on_another_machine_is_in_the_servers_log() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    // As a user who is root of a user namespace with all the ids there are, in which this is all the network there is.
    let script = format!(
        "set -e; ip link set lo up; kelp() {{ {kelp} \"$@\"; }}; \
         unshare --net sleep 60 & other=$!; \
         until [ \"$(readlink /proc/$other/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done; \
         ip link add here type veth peer name there netns $other; ip addr add 198.51.100.1/24 dev here; ip link set here up; \
         nsenter -t $other -n sh -c 'ip addr add 198.51.100.77/24 dev there; ip link set there up; ip link set lo up'; \
         kelp network create app >/dev/null; \
         for flags in '' '--network app'; do \
            kelp run -d --name web $flags -p 8080:80 busybox httpd -f -v -p 80 -h /var/www >/dev/null; \
            for i in 1 2 3 4 5 6 7 8 9 10; do nsenter -t $other -n busybox wget -q -O - http://198.51.100.1:8080/index.html && break; sleep 0.3; done; \
            for i in 1 2 3 4 5 6 7 8 9 10; do kelp logs web 2>&1 | grep -q response && break; sleep 0.1; done; \
            kelp logs web 2>&1; kelp rm -f -t 0 web >/dev/null; \
         done; kill $other",
        kelp = crate::support::program().display()
    );
    let output = kelp
        .tool("/usr/bin/unshare", ["--user", "--map-auto", "--map-root-user", "--net", "sh", "-c", &script])
        .limit(Duration::from_secs(60))
        .output();
    if output.stderr.contains("ip: not found") {
        eprintln!("SKIPPED, the host lacks ip");
        return;
    }
    output.success();
    assert_eq!(output.text().matches("hello from inside").count(), 2, "{output:?}");
    assert_eq!(output.text().matches("198.51.100.77]:").count(), 2, "its address is in the log: {output:?}");
}
