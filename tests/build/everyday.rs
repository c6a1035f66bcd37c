//! What people build every day: an application made in its image, a web app with its packages, a Django project, a static
//! program alone in an image. The last tests take tools from a Debian mirror.

use std::fs;
use std::time::{Duration, Instant};

use crate::needs;
use crate::support::{Kelp, debian_tar, free_port, http};

const MINUTES: Duration = Duration::from_secs(900);

fn context(kelp: &Kelp, name: &str, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = kelp.work().join(name).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn page(kelp: &Kelp, name: &str, port: u16, path: &str, want: &str) {
    let begun = Instant::now();
    loop {
        let page = http::get(("127.0.0.1", port), path).map_or_else(|error| error.to_string(), |answer| answer.text());
        if page.contains(want) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{path}: {page}\n{}", kelp.run(["logs", name]).text());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Debian with the tools of `packages`, installed as Dockerfiles do it.
fn with_tools(packages: &str) -> Kelp {
    let kelp = Kelp::new();
    let tar = debian_tar().unwrap();
    kelp.run([std::ffi::OsStr::new("import"), tar.as_os_str(), std::ffi::OsStr::new("debian")]).success();
    let text = format!(
        "FROM debian\nRUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \\\n    \
         rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {packages}\n"
    );
    context(&kelp, "tools", &[("Dockerfile", &text)]);
    kelp.cmd(["build", "--progress", "plain", "-t", "tools", "tools"]).limit(MINUTES).output().success();
    kelp
}

fn build(kelp: &Kelp, name: &str) {
    kelp.cmd(["build", "--progress", "plain", "--network", "none", "-t", name, name]).limit(MINUTES).output().success();
}

#[test]
fn a_static_program_alone() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "tool", &[("Dockerfile", "\
FROM busybox AS build
WORKDIR /src
COPY motd .
RUN cp /bin/busybox /src/cat && echo 'app:x:1000:1000::/:/bin/false' > /src/passwd
FROM scratch
COPY --from=build /src/passwd /etc/passwd
COPY --from=build --chmod=0555 /src/cat /cat
COPY --from=build /src/motd /
USER app
ENTRYPOINT [\"/cat\"]
CMD [\"/motd\"]
"), ("motd", "alone\n")]);
    build(&kelp, "tool");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "tool"]), "alone");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "tool", "/etc/passwd"]), "app:x:1000:1000::/:/bin/false");
    let layers = kelp.ok(["image", "inspect", "--format", "{{len .RootFS.Layers}} {{.Config.User}}", "tool"]);
    assert_eq!(layers, "3 app");
}

#[test]
fn a_site_on_a_published_port() {
    needs!("userns", "busybox", "slirp");
    let kelp = Kelp::busybox();
    context(&kelp, "site", &[("Dockerfile", "\
FROM busybox
WORKDIR /www
COPY . .
EXPOSE 8080
HEALTHCHECK --interval=1s --retries=20 CMD wget -qO- http://127.0.0.1:8080/ | grep -q made
CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]
"), ("index.html", "made here\n"), (".dockerignore", "Dockerfile\n")]);
    build(&kelp, "site");
    let port = free_port();
    kelp.detached(&["--name", "web", "-p", &format!("127.0.0.1:{port}:8080"), "site"]);
    page(&kelp, "web", port, "/", "made here");
    kelp.run(["exec", "web", "ls", "/www/Dockerfile"]).failure();
    kelp.run(["rm", "-f", "-t", "0", "web"]).success();
}

#[test]
#[ignore = "needs a Debian mirror"]
fn applications_made_with_tools_of_debian() {
    needs!("debian", "slirp");
    let kelp = with_tools("make gcc libc6-dev nodejs npm python3-django gunicorn");
    // `make` in the image, and a static program on nothing.
    context(&kelp, "made", &[
        ("Dockerfile", "FROM tools\nCOPY . /app\nRUN make -C /app\nCMD [\"/app/hello\"]\n"),
        ("Makefile", "hello: hello.c\n\tgcc -static -Os -o $@ $<\n"),
        ("hello.c", "#include <stdio.h>\nint main(void) { puts(\"made in its image\"); }\n"),
    ]);
    build(&kelp, "made");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "made"]), "made in its image");
    context(&kelp, "static", &[("Dockerfile", "FROM made AS build\nFROM scratch\nCOPY --from=build /app/hello /hello\nENTRYPOINT [\"/hello\"]\n")]);
    build(&kelp, "static");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "static"]), "made in its image");
    // A Node app with a package.
    context(&kelp, "node", &[
        ("Dockerfile", "FROM tools\nWORKDIR /app\nCOPY package.json ./\nCOPY greeting greeting\nRUN --mount=type=cache,target=/root/.npm npm install --omit=dev --no-audit --no-fund\n\
                        COPY server.js .\nUSER nobody\nEXPOSE 3000\nCMD [\"node\", \"server.js\"]\n"),
        ("package.json", "{\"name\": \"app\", \"version\": \"1.0.0\", \"dependencies\": {\"greeting\": \"file:./greeting\"}}\n"),
        ("greeting/package.json", "{\"name\": \"greeting\", \"version\": \"1.0.0\", \"main\": \"index.js\"}\n"),
        ("greeting/index.js", "module.exports = () => 'hello from node';\n"),
        ("server.js", "const greet = require('greeting');\nrequire('http').createServer((q, a) => a.end(greet() + q.url)).listen(3000);\n"),
    ]);
    build(&kelp, "node");
    let port = free_port();
    kelp.detached(&["--name", "node", "-p", &format!("127.0.0.1:{port}:3000"), "node"]);
    page(&kelp, "node", port, "/page", "hello from node/page");
    // A Django project with its data.
    context(&kelp, "django", &[("Dockerfile", "\
FROM tools
WORKDIR /srv
RUN django-admin startproject project .
COPY views.py project/
RUN cat >> project/settings.py <<EOF && cat >> project/urls.py <<URLS && python3 manage.py migrate && useradd web && chown -R web /srv
ALLOWED_HOSTS = ['*']
EOF
from . import views
urlpatterns += [path('count', views.count)]
URLS
USER web
EXPOSE 8000
CMD [\"gunicorn\", \"-b\", \"0.0.0.0:8000\", \"project.wsgi\"]
"), ("views.py", "from django.contrib.auth.models import User\nfrom django.http import HttpResponse\n\ndef count(request):\n    return HttpResponse(f'{User.objects.count()} users')\n")]);
    build(&kelp, "django");
    let port = free_port();
    kelp.detached(&["--name", "django", "-p", &format!("127.0.0.1:{port}:8000"), "django"]);
    page(&kelp, "django", port, "/count", "0 users");
    page(&kelp, "django", port, "/admin/login/", "Django administration");
    kelp.run(["rm", "-f", "-t", "0", "node", "django"]).success();
}
