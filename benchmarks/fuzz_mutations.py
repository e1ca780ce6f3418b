"""Sound Experiment files, and what a careless or hostile hand does to them; the same seed makes the same file."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml

Json = Any
Path = tuple[Any, ...]

ESCAPE: Final = "fuzz-escape"  # every path of a mutation that leads outside bears this word
TRAVERSALS: Final = (
    f"../{ESCAPE}",
    f"../../../{ESCAPE}",
    f"../../../../../../../../tmp/{ESCAPE}",
    f"/tmp/{ESCAPE}/x",
    f"a/../../{ESCAPE}",
    f"..\\{ESCAPE}",
    "..",
    ".",
    "/",
    "//",
    "/proc/self/fd/1",
    "%2e%2e%2f",
)
HOSTILE: Final[tuple[Json, ...]] = (
    *TRAVERSALS,
    *("", " ", "\t", "\n", "a\nb", "\x85", "\u2028", "\u202e", "é", "名前", "🐈" * 40, "a" * 300, "-", "--help", "~"),
    *("${trialParameters.x}", "${trialParameters.", "${trialSpec.Name}", "${", "$(HOME)", "{}", "[]", "null", "true"),
    *("NaN", "nan", "inf", "-inf", "1e999", "-0", "0x10", "1_000", "١٢", "1e-400", "9" * 400, "0.1" + "0" * 300 + "1"),
    *(0, -1, 1, 2, 3.5, 2**31, 2**31 - 1, -(2**31), 2**63, 10**30, float("nan"), float("inf"), float("-inf"), 1e308),
    *(True, False, None, [], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": []}}}, [{}] * 50, list(range(500))),
)
FILTERS: Final = (
    *(
        "(a+)+$",
        "(x+x+)+y",
        "([",
        "(?P<n>",
        r"(\w+)=(\w+",
        r"\1(a)(b)",
        "(?=a)(b)(c)",
        "((((((((((a))))))))))",
        "(.*)(.*)",
    ),
    *("(a{1000}){1000}(b)(c)", "(" * 200 + ")" * 200, "", "()()", "(?i)([|]*)\\s*=\\s*(.*)", "([a-z]+)=([0-9.e+-]+)"),
)
TEXTS: Final = (
    b"!!python/object/apply:os.system ['true']",
    b"!!python/name:os.system",
    b"!!binary aGVsbG8=",
    b"!!timestamp 2001-01-01",
    b"!!set {a, b}",
    b"!<tag:example.org,2000:x> y",
    b"!custom {a: 1}",
    b"*nowhere",
    b"&a [*a]",
    b"<<: [1]",
    b"? {a: b} : c",
    b"%YAML 9.9",
    b"---\n...\n---",
    b"\x00",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b"\t",
    b"\r\n",
    b"\xed\xa0\x80",
    b"'",
    b'"\\u0000"',
    b'"\\uD800"',
    b"|+\n\n",
    b"[" * 500,
    b"{a: " * 500,
    b"- " * 2000,
)
BOMB: Final = b"".join(
    [b"bomb:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n"]
    + [b"  a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)]
)


def case(seed: str) -> bytes:
    """The mutated file of this seed."""
    dice = random.Random(seed)
    document = copy.deepcopy(dice.choice(BASES))
    for _ in range(dice.choice((1, 1, 1, 1, 1, 2, 2, 5))):
        dice.choice(TREE_MUTATIONS)(document, dice)
    documents = [document, *([template_map()] if "configMap" in str(document) else [])]
    text = yaml.safe_dump_all(documents, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")
    return dice.choice(TEXT_MUTATIONS)(text, dice) if dice.random() < 0.25 else text


# Mutations of the tree


def places(tree: Json, path: Path = ()) -> Iterator[Path]:
    """Every place in the tree but its root."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def pick(tree: Json, dice: random.Random) -> tuple[Json, Any]:
    """A random place: what holds it, and its key there."""
    *parents, key = dice.choice(list(places(tree)) or [("spec",)])
    for step in parents:
        tree = tree[step]
    return tree, key


def drop(tree: Json, dice: random.Random) -> None:
    holder, key = pick(tree, dice)
    if isinstance(holder, list) or key in holder:
        del holder[key]


def replace(tree: Json, dice: random.Random) -> None:
    holder, key = pick(tree, dice)
    holder[key] = copy.deepcopy(dice.choice(HOSTILE))


def retype(tree: Json, dice: random.Random) -> None:
    holder, key = pick(tree, dice)
    value = holder[key] if isinstance(holder, list) else holder.get(key)
    holder[key] = dice.choice(([value], {"value": value}, str(value), [value, value], bool(value)))


def rename(tree: Json, dice: random.Random) -> None:
    holder, key = pick(tree, dice)
    if isinstance(holder, dict) and key in holder:
        fresh = dice.choice((str(key)[:-1], str(key).upper(), f"{key}é", f"x-{key}", "name", ""))
        holder[fresh] = holder.pop(key)


def swap(tree: Json, dice: random.Random) -> None:
    (one, key), (other, second) = pick(tree, dice), pick(tree, dice)
    if isinstance(one, dict) and isinstance(other, dict) and one is not other:
        # Copies: a tree that holds itself could not be written down.
        one[key], other[second] = copy.deepcopy(other.get(second)), copy.deepcopy(one.get(key))


def add(tree: Json, dice: random.Random) -> None:
    holder, _ = pick(tree, dice)
    value = copy.deepcopy(dice.choice(HOSTILE))
    if isinstance(holder, list):
        holder.insert(dice.randrange(len(holder) + 1), value)
    else:
        holder[dice.choice(("nmae", "labels", "suspend", "stopWhen", "maxDurationSeconds", "env", "status", "uid"))] = (
            value
        )


def repeat(tree: Json, dice: random.Random) -> None:
    holder, key = pick(tree, dice)
    if isinstance(holder, list):
        holder.extend(copy.deepcopy([holder[key]] * dice.choice((1, 3, 200))))


def nest(tree: Json, dice: random.Random) -> None:
    holder, key = pick(tree, dice)
    value = holder[key] if isinstance(holder, list) else holder.get(key)
    for _ in range(dice.choice((5, 60, 90))):
        value = [value] if dice.random() < 0.5 else {"a": value}
    holder[key] = value


def traverse(tree: Json, dice: random.Random) -> None:
    """Names and paths that become folders."""
    spec, escape = tree.get("spec"), dice.choice(TRAVERSALS)
    metadata = tree.get("metadata")
    targets: list[tuple[Json, Any]] = [(metadata, "name"), (metadata, "namespace"), (metadata, "uid")]
    if isinstance(spec, dict):
        targets += [(spec.get("objective"), "objectiveMetricName")]
        for holder, key in (
            (h, k) for h, k in _leaves(spec) if k in {"path", "mountPath", "name", "workingDir", "key"}
        ):
            targets.append((holder, key))
    holder, key = dice.choice(targets)
    if isinstance(holder, dict):
        holder[key] = escape


def filters(tree: Json, dice: random.Random) -> None:
    spec = tree.get("spec")
    collector = spec.get("metricsCollectorSpec") if isinstance(spec, dict) else None
    if isinstance(collector, dict):
        source = collector.setdefault("source", {})
        if isinstance(source, dict):
            source["filter"] = {"metricsFormat": dice.choices(FILTERS, k=dice.choice((1, 2)))}


def space(tree: Json, dice: random.Random) -> None:
    """Feasible spaces that cannot be, or hardly."""
    spec = tree.get("spec")
    parameters = spec.get("parameters") if isinstance(spec, dict) else None
    entries = [entry for entry in parameters or [] if isinstance(entry, dict)] if isinstance(parameters, list) else []
    if entries:
        edges = ("0", "1", "-1e308", "1e308", "1e-320", "nan", "inf", "2", "9" * 30, "0.1", "", "1,5", 3, None)
        feasible = {key: dice.choice(edges) for key in dice.sample(("min", "max", "step"), 2)}
        if dice.random() < 0.3:
            feasible["list"] = dice.choice((["a", "a"], [], [""], ["x" * 500] * 300, [1, 2], "abc", [None]))
        dice.choice(entries)["feasibleSpace"] = feasible
        dice.choice(entries)["parameterType"] = dice.choice(("double", "int", "discrete", "categorical", "unknown"))


def _leaves(tree: Json) -> Iterator[tuple[Json, Any]]:
    for path in places(tree):
        holder = tree
        for step in path[:-1]:
            holder = holder[step]
        if not isinstance(holder[path[-1]], dict | list):
            yield holder, path[-1]


TREE_MUTATIONS: Final[tuple[Callable[[Json, random.Random], None], ...]] = (
    *(drop, drop, replace, replace, replace, retype, rename, swap, add, add),
    *(repeat, nest, traverse, traverse, traverse, filters, space, space),
)

# Mutations of the text


def truncate(text: bytes, dice: random.Random) -> bytes:
    return text[: dice.randrange(len(text))]


def insert(text: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(text))
    return text[:place] + dice.choice(TEXTS) + text[place:]


def insert_at_value(text: bytes, dice: random.Random) -> bytes:
    lines = text.split(b"\n")
    number = dice.randrange(len(lines))
    key, colon, _ = lines[number].partition(b": ")
    lines[number] = key + (colon or b": ") + dice.choice(TEXTS)
    return b"\n".join(lines)


def flip(text: bytes, dice: random.Random) -> bytes:
    changed = bytearray(text)
    for _ in range(dice.choice((1, 5, 50))):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def double_line(text: bytes, dice: random.Random) -> bytes:
    lines = text.split(b"\n")
    number = dice.randrange(len(lines))
    return b"\n".join([*lines[:number], lines[number], *lines[number:]])


def bomb(text: bytes, dice: random.Random) -> bytes:
    return text + BOMB if dice.random() < 0.5 else BOMB + text


def encode(text: bytes, dice: random.Random) -> bytes:
    return text.decode(errors="replace").encode(dice.choice(("utf-16", "latin-1", "utf-32")), "replace")


def swell(text: bytes, dice: random.Random) -> bytes:
    return text + b"\n# " + b"x" * dice.choice((10**5, 3 * 10**6)) + b"\n"


def another(text: bytes, dice: random.Random) -> bytes:
    other = dice.choice(
        (b"a: 1", b"kind: ConfigMap\nmetadata: [1]\ndata: 3", text, b"- 1", b"kind: Secret\ndata: {a: =}")
    )
    return text + b"\n---\n" + other


TEXT_MUTATIONS: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    *(truncate, insert, insert, insert_at_value, insert_at_value, flip, double_line, bomb, encode, swell, another),
)

# Sound files to start from


def template_map() -> Json:
    """A trial template in a ConfigMap."""
    run = yaml.safe_dump(job(["sh", "-c", "echo loss=${trialParameters.x}"]))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "templates"}, "data": {"t.yaml": run}}


def job(command: list[str], **container: Json) -> Json:
    """A Job with one container."""
    pod = {"containers": [{"name": "main", "image": "busybox", "command": command, **container}]}
    if "volumeMounts" in container:
        pod["volumes"] = [{"name": "data", "emptyDir": {}}]
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}}


def experiment(run: Json | None, algorithm: Json, collector: Json, **spec: Json) -> Json:
    """Three trials that end at once."""
    template = {"primaryContainerName": "main", "trialParameters": [{"name": "x", "reference": "x"}]}
    source = {"configMapName": "templates", "configMapNamespace": "default", "templatePath": "t.yaml"}
    template |= {"trialSpec": run} if run is not None else {"configMap": source}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "fuzz", "namespace": "default", "labels": {"a": "b"}},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss", "goal": 0.0001},
            "algorithm": algorithm,
            "metricsCollectorSpec": collector,
            "parallelTrialCount": 2,
            "maxTrialCount": 3,
            "maxFailedTrialCount": 2,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0.1", "max": "1"}},
            ],
            "trialTemplate": template,
            **spec,
        },
    }


def algorithm(name: str, **settings: str) -> Json:
    """An algorithm with its settings."""
    entries = [{"name": key, "value": value} for key, value in settings.items()]
    return {"algorithmName": name, "algorithmSettings": entries}


def source(kind: str, path: str, how: str, **more: str) -> Json:
    """A collector that reads a path."""
    return {"collector": {"kind": kind}, "source": {"fileSystemPath": {"path": path, "kind": how, **more}}}


STDOUT: Final = {"collector": {"kind": "StdOut"}, "source": {"filter": {"metricsFormat": ["([a-z]+)=([0-9.]+)"]}}}
ECHO: Final = ["sh", "-c", "echo loss=${trialParameters.x}"]
CUSTOM: Final = {
    **source("Custom", "/katib/m.csv", "File"),
    "collector": {"kind": "Custom", "customCollector": {"name": "c", "image": "i", "command": ["sh", "-c", "true"]}},
}
BASES: Final = (
    experiment(job(ECHO), algorithm("random", random_state="1"), STDOUT),
    experiment(
        job(ECHO, workingDir="/data", volumeMounts=[{"name": "data", "mountPath": "/data"}]),
        algorithm("tpe", n_startup_trials="1", gamma="0.25"),
        STDOUT,
        resumePolicy="LongRunning",
        stopWhen={"trialsWithoutImprovement": 5},
        maxDurationSeconds=600,
    ),
    experiment(
        job(["sh", "-c", "echo loss=${trialParameters.x} >/var/log/katib/m.log"], env=[{"name": "A", "value": "$(B)"}]),
        algorithm("sobol"),
        source("File", "/var/log/katib/m.log", "File", format="TEXT"),
        earlyStopping=algorithm("medianstop", min_trials_required="1", start_step="1"),
    ),
    experiment(
        job(["sh", "-c", 'echo "{\\"loss\\": \\"${trialParameters.x}\\"}" >/katib/m.json'], resources={}),
        algorithm("random"),
        source("File", "/katib/m.json", "File", format="JSON"),
    ),
    experiment(job(ECHO), algorithm("random"), source("TensorFlowEvent", "/var/log/katib/tf", "Directory")),
    experiment(job(ECHO), algorithm("random"), CUSTOM),
    experiment(
        job(ECHO, resources={"limits": {"cpu": "1", "memory": "1Gi"}}),
        algorithm("grid"),
        STDOUT,
        parameters=[
            {"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "3", "step": "1"}},
        ],
    ),
    experiment(None, algorithm("random"), STDOUT),
)
