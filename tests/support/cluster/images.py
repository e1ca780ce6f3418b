"""Images without a registry: made here, kept in the user's cache, and loaded into a node as archives.

    python -m support.cluster.images IMAGE CONTEXT [ARGUMENT=VALUE …]

builds one, as root and from the folder tests, and prints the path of its archive.
"""

import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from support.cluster import binaries

PAUSE = "localhost/pause:tests"
BASE = "localhost/python:tests"
SUITE = "bookworm"
BASE_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# Debian's packages, by what is looked for.
PACKAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# As in the image that it stands in for, `python` is there and pip installs without being asked twice; and what this
# machine trusts is trusted, for it may reach its package registries through an authority of its own.
HOOK = f"""
ln -s ../../bin/python3 "$1/usr/local/bin/python"
rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED
if [ -e {CERTIFICATES} ]; then cp {CERTIFICATES} "$1{CERTIFICATES}"; fi
printf '[global]\\ncert = {CERTIFICATES}\\n' > "$1/etc/pip.conf"
"""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_CONFIG = {"Cmd": ["python3"], "Env": [PATH, f"SSL_CERT_FILE={CERTIFICATES}", "UV_NATIVE_TLS=true"]}


class Unbuilt(Exception):
    """An image cannot be built; carries the end of what was said."""


def missing():
    """Why no image can be built here; nothing where one can."""
    packages = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if packages:
        return f"images need Debian's packages {' '.join(packages)}"
    return "images are built by root" if os.geteuid() != 0 else None


def pause():
    """The archive of the image that holds a pod's namespaces."""
    archive = _folder() / "pause.tar"
    with binaries.alone(_folder()):
        if not archive.exists():
            layer = archive.with_suffix(".layer")
            with tarfile.open(layer, "w") as files:
                files.add(binaries.find("pause"), "pause")
            write_archive(archive, PAUSE, layer, {"Entrypoint": ["/pause"]})
    return archive


def base():
    """The archive of the image that stands in for docker.io/library/python: Debian's Python, and pip."""
    trusted = Path(CERTIFICATES).read_bytes() if Path(CERTIFICATES).exists() else b""
    recipe = f"{SUITE} {BASE_PACKAGES} {LEFT_OUT} {HOOK} {BASE_CONFIG}".encode()
    archive = _folder() / f"python-{hashlib.sha256(recipe + trusted).hexdigest()[:12]}.tar"
    with binaries.alone(_folder()):
        if not archive.exists():
            layer = archive.with_suffix(".layer")
            options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
            _run("mmdebstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", *options, f"--customize-hook={HOOK}",
                 "--format=tar", SUITE, layer)  # fmt: skip
            write_archive(archive, BASE, layer, BASE_CONFIG)
    return archive


def build(image, context, **arguments):
    """The archive of what a folder's Dockerfile makes on the stand-in base; what did not change is not made again."""
    found = base()
    archive = _folder() / f"{image.replace('/', '_').replace(':', '_')}.tar"
    options = [f"--build-arg={name}={value}" for name, value in {"BASE_IMAGE": BASE, **arguments}.items()]
    with binaries.alone(_folder()):
        storage = _folder() / f"storage-of-{found.stem}"  # what was built on another base is of no use
        buildah = functools.partial(_buildah, storage)
        pulled = storage / "pulled"
        if not pulled.exists():
            buildah("pull", f"docker-archive:{found}")
            pulled.touch()
        buildah("bud", "--isolation=chroot", "--layers", "--pull-never", *options, f"--tag={image}", context)
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        buildah("push", image, f"docker-archive:{unfinished}:{image}")
        unfinished.rename(archive)
    return archive


def _buildah(storage, *words):
    # What it mounts is mounted for it alone, and gone with it, however it ends.
    where = (f"--root={storage}", f"--runroot={storage}-run", "--storage-driver=overlay")
    return _run("unshare", "--mount", "buildah", *where, *words)


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unbuilt(f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout


def write_archive(path, image, layer, config):
    """An archive as `docker save` writes it, of one layer, whose file is used up."""
    with open(layer, "rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    settings = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "katib-py tests"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    unfinished = path.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as archive:
        archive.add(layer, "layer.tar")
        for name, document in (("config.json", settings), ("manifest.json", manifest)):
            text = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    layer.unlink()
    unfinished.rename(path)


def _folder():
    folder = binaries.cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(image, context, *arguments):
    print(build(image, context, **dict(argument.split("=", 1) for argument in arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
