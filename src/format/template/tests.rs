//! Templates as docker users write them.

use serde_json::json;

use super::*;

fn render(template: &str, json: &serde_json::Value) -> Result<String, TemplateError> {
    Template::parse(template)?.render(&Data::new(json).with_labels([("com.x", "1"), ("b", "two")]))
}

fn container() -> serde_json::Value {
    json!({
        "Id": "abc", "Name": "/web", "RestartCount": 3, "SizeRw": 1.5,
        "State": {"Status": "running", "Running": true, "Pid": 42, "Health": null},
        "Config": {"Cmd": null, "Env": ["A=1", "B=2"], "Labels": {"a.b": "x", "plain": "<y>"}, "Volumes": null, "Entrypoint": []},
        "HostConfig": {"NanoCpus": 5, "Dns": [], "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
        "Mounts": [{"Type": "bind", "Source": "/a"}, {"Type": "volume", "Source": "/b"}],
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "9000/tcp": null},
            "Networks": {"net1": {"IPAddress": "10.0.0.2"}}},
    })
}

#[test]
fn templates_from_the_wild() {
    for (template, want) in [
        ("{{.Id}}", "abc"),
        ("{{.ID}}", "abc"),
        ("{{.State.Status}} {{.State.Pid}} {{.RestartCount}} {{.SizeRw}}", "running 42 3 1.5"),
        ("{{json .State.Pid}}", "42"),
        ("{{.State.Running}}", "true"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{join .Config.Env \",\"}}", "A=1,B=2"),
        ("{{index .Config.Labels \"a.b\"}}", "x"),
        ("{{index .Config.Labels \"nope\"}}", ""),
        ("{{if eq (index .Config.Labels \"nope\") \"\"}}none{{end}}", "none"),
        ("{{.Config.Labels.plain}}", "<y>"),
        ("{{.Config.Labels.nope}}", "<no value>"),
        ("{{json .Config.Labels}}", r#"{"a.b":"x","plain":"<y>"}"#),
        ("{{.Config.Cmd}} {{json .Config.Cmd}} {{len .Config.Cmd}}", "[] null 0"),
        ("{{.Config.Volumes}} {{json .Config.Volumes}}", "map[] null"),
        ("{{json .Config.Entrypoint}}", "[]"),
        ("{{range .Config.Volumes}}x{{else}}none{{end}}", "none"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{with .State}}{{.Status}}{{$.Name}}{{end}}", "running/web"),
        ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{range $p, $c := .NetworkSettings.Ports}}{{$p}}={{if $c}}{{(index $c 0).HostPort}}{{end}};{{end}}", "80/tcp=8080;9000/tcp=;"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.0.0.2"),
        ("{{.NetworkSettings.Networks.net1.IPAddress}}", "10.0.0.2"),
        ("{{range $i, $m := .Mounts}}{{if $i}},{{end}}{{$m.Type}}:{{$m.Source}}{{end}}", "bind:/a,volume:/b"),
        ("{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Source}}{{end}}{{end}}", "/b"),
        ("{{.HostConfig.NanoCPUs}} {{.HostConfig.RestartPolicy.Name}}", "5 no"),
        ("{{slice .Id 0 2}} {{len .Id}} {{printf \"%-5s|\" .Id}}", "ab 3 abc  |"),
        ("{{printf \"%T %-7T|%d%% %T\" .Id true 5 1.5}}", "string bool   |5% float64"),
        ("{{.State.Status | upper}} {{upper \"a\"}} {{title \"a b\"}} {{lower \"A\"}}", "RUNNING A A B a"),
        ("{{pad .Id 1 2}}| {{truncate .Id 2}} {{truncate .Id 9}} {{pad \"\" 3 3}}", " abc  | ab abc "),
        ("{{split .Name \"/\"}} {{json (split \"a:b\" \":\")}}", "[ web] [\"a\",\"b\"]"),
        ("a\\tb\\n{{\"x\"}}", "a\tb\nx"),
        ("{{join .Config.Env \"\\n\"}}", "A=1\nB=2"),
        ("{{.Label \"b\"}}{{.Label \"none\"}}", "two"),
        ("{{if .Label \"com.x\"}}has{{end}} {{\"b\" | .Label}} {{upper (.Label \"b\")}}", "has two TWO"),
        ("{{and .State.Running (gt .State.Pid 40)}} {{not .State.Running}}", "true false"),
        ("{{define \"s\"}}<{{.Status}}>{{end}}{{template \"s\" .State}}", "<running>"),
        ("{{- /* c */ -}} x {{- \"\" }}", "x"),
        ("plain", "plain"),
        ("", ""),
    ] {
        assert_eq!(render(template, &container()).as_deref(), Ok(want), "{template}");
    }
}

#[test]
fn whole_objects() {
    let row = json!({"ID": "1", "Names": "a & <b>", "N": null, "Labels": ""});
    assert_eq!(render("{{json .}}", &row).as_deref(), Ok(r#"{"ID":"1","Labels":"","N":null,"Names":"a & <b>"}"#));
    assert_eq!(render("{{range .}}{{.}}{{end}}", &json!(["a", "b"])).as_deref(), Ok("ab"));
}

#[test]
fn mistakes_are_errors() {
    for template in [
        "{{.Nope}}",
        "{{.State.Nope}}",
        "{{.State.Health.Status}}",
        "{{.Id.X}}",
        "{{range .Mounts}}{{.Nope}}{{end}}",
        "{{index .Mounts 7}}",
        "{{upper .RestartCount}}",
        "{{.Id \"x\"}}",
        "{{\"x\" | .Id}}",
        "{{template \"gone\"}}",
        "{{pad .Id -1 0}}",
        "{{json}}",
    ] {
        assert!(matches!(render(template, &container()), Err(TemplateError::Execute(_))), "{template}");
    }
    for template in ["{{", "{{.Id", "{{end}}", "a{{end}}b", "{{else}}", "{{if .Id}}", "{{nope .Id}}", "{{.Id | nope}}", "{{if nope}}{{end}}", "{{range .Id}}{{x}}{{end}}", "{{$x}}"] {
        let result = Template::parse(template);
        if template == "{{$x}}" {
            assert!(render(template, &container()).is_err());
        } else {
            assert!(matches!(result, Err(TemplateError::Parse(_))), "{template}");
        }
    }
    for (template, want) in [
        ("{{.Id", "unclosed action: }} is missing"),
        ("a {{", "unclosed action: }} is missing"),
        ("{{if .Id}}", "unexpected end of the template: {{end}} is missing"),
        ("{{if .Id}}a{{else}}b", "unexpected end of the template: {{end}} is missing"),
        ("{{range .Mounts}}{{if .Id}}a{{end}}", "unexpected end of the template: {{end}} is missing"),
        ("{{with .Id}}{{if .Id}}", "unexpected end of the template: {{end}} is missing"),
        ("{{if .Id}}a{{end}}{{end}}", "unexpected {{end}} or {{else}}"),
        ("{{else}}", "unexpected {{end}} or {{else}}"),
    ] {
        let error = Template::parse(template).unwrap_err().to_string();
        assert!(error.ends_with(want), "{template}: {error}");
    }
    let error = render("{{.State.Nope}}", &container()).unwrap_err().to_string();
    assert_eq!(error, "template: no field \"Nope\" (in .State.Nope)");
    let error = Template::parse("{{nope}}").unwrap_err().to_string();
    assert_eq!(error, "template parsing error: template: line 1: function \"nope\" not defined");
}

#[test]
fn headers() {
    let columns = [("ID", "CONTAINER ID"), ("Names", "NAMES")];
    for (template, want) in [
        ("{{.ID}}\\t{{.Names}}", "CONTAINER ID\tNAMES"),
        ("{{lower .ID}} {{json .Names}} {{truncate .ID 3}}", "CONTAINER ID NAMES CONTAINER ID"),
        ("{{.Label \"com.example.my-label_x\"}}", "my label x"),
        ("{{.ID | upper}} {{pad .ID 1 1}}|", "CONTAINER ID  CONTAINER ID |"),
    ] {
        assert_eq!(Template::parse(template).unwrap().render_header(&columns).as_deref(), Ok(want), "{template}");
    }
    assert!(Template::parse("{{.Nope}}").unwrap().render_header(&columns).is_err());
}
