//! A registry behind a token server of ours: anonymous, by password, by identity token, with scopes and tokens that run out.

use std::fs;

use crate::needs;
use crate::support::image::Packing;
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer};

fn marked(text: &str) -> Image {
    Image::busybox().layer(Layer::new().file("mark", 0o644, text))
}

#[test]
fn scopes_of_strangers_and_of_users() {
    needs!("registry", "openssl");
    let (registry, tokens) = Registry::with_tokens();
    let kelp = Kelp::new();
    kelp.load_image(&marked("by token"), "app");
    let (public, private) = (registry.name("public/app"), registry.name("private/app"));
    kelp.run(["push", "app", &public]).failure().stderr_has("kelp login");
    assert!(tokens.asked().iter().all(|asked| !asked.password && asked.method == "GET"));
    // One token for everything the push needs.
    let args = ["push", "--creds", "tester:secret", "app"];
    kelp.run(args.iter().chain(&[public.as_str()])).success();
    let asked = tokens.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].field("scope"), "repository:public/app:pull,push");
    assert_eq!((asked[0].field("service"), asked[0].field("account")), ("test-registry".to_owned(), "tester".to_owned()));
    assert!(asked[0].password && asked[0].field("offline_token").is_empty());
    // The layers are taken from the neighbour, which needs a token for both.
    let out = kelp.run(args.iter().chain(&[private.as_str()]));
    out.success().stderr_has("Mounted");
    assert!(tokens.asked().iter().any(|asked| {
        let scope = asked.field("scope");
        scope.contains("repository:private/app:pull,push") && scope.contains("repository:public/app:pull")
    }));
    // Strangers may pull what is public.
    let other = Kelp::new();
    other.run(["run", "--rm", &public, "cat", "/mark"]).success().stdout("by token");
    assert_eq!(tokens.asked().len(), 1);
    other.run(["pull", &private]).failure().stderr_has("denies access to private/app");
    other.run(["pull", "--creds", "tester:wrong", &private]).failure().stderr_has("wrong user name or password");
    other.run(["pull", "--creds", "tester:secret", &private]).success();
}

#[test]
fn identity_tokens_take_the_place_of_passwords() {
    needs!("registry", "openssl");
    let (registry, tokens) = Registry::with_tokens();
    let kelp = Kelp::new();
    let host = registry.host();
    let login = |password: &str| kelp.cmd(["login", "-u", "tester", "--password-stdin", &host]).stdin(password).output();
    login("wrong").failure().stderr_has("wrong user name or password");
    login("secret").success().stdout("Login Succeeded");
    let file = fs::read_to_string(kelp.dir().join("run/containers/auth.json")).unwrap();
    assert!(file.contains("stands-for-tester") && !file.contains("dGVzdGVyOnNlY3JldA"), "{file}");
    kelp.load_image(&marked("identity"), "app");
    tokens.asked();
    let name = registry.name("private/app");
    kelp.ok(["push", "app", &name]);
    let asked = tokens.asked();
    assert!(asked.iter().all(|asked| asked.method == "POST" && !asked.password), "{asked:?}");
    kelp.ok(["rmi", "app"]);
    kelp.ok(["pull", &name]);
    kelp.run(["search", "--list-tags", "--format", "{{.Tag}}", &name]).success().stdout("latest");
    kelp.ok(["logout", &host]);
    kelp.run(["pull", &name]).failure();
}

#[test]
fn tokens_run_out_and_their_server_is_busy() {
    needs!("registry", "openssl");
    let (registry, tokens) = Registry::with_tokens();
    let kelp = Kelp::new();
    kelp.load_image(&marked("patient"), "app");
    let name = registry.name("private/app");
    let push = || kelp.run(["push", "--creds", "tester:secret", "--retry-delay", "10ms", "app", &name]);
    tokens.be_stale(1);
    push().success();
    assert_eq!(tokens.asked().len(), 2);
    tokens.be_busy(2);
    push().success();
    tokens.be_busy(100);
    push().failure().stderr_has("answered 503");
    tokens.be_busy(0);
    // Not for ever: one whose tokens are never good is told of.
    tokens.be_stale(100);
    push().failure().stderr_has("denies access");
    assert!(tokens.asked().len() < 20);
}

#[test]
fn images_for_one_platform_by_digest_need_a_token_too() {
    needs!("registry", "openssl");
    let (registry, _tokens) = Registry::with_tokens();
    let from = Registry::open();
    let digest = from.push(&marked("digest"), "box", "v", Packing::Zstd);
    let kelp = Kelp::new();
    kelp.ok(["pull", &from.name("box:v")]);
    kelp.ok(["push", "--creds", "tester:secret", &from.name("box:v"), &registry.name("public/box:v")]);
    let other = Kelp::new();
    let name = registry.name(&format!("public/box@{digest}"));
    other.ok(["pull", &name]);
    other.run(["run", "--rm", "--pull", "never", &name, "cat", "/mark"]).success().stdout("digest");
}
