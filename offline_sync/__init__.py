"""Images carried to where no network goes: gathered into a bundle, verified, loaded, pruned. Runs on a host.

Python 3.9 and its standard library only; the images go from registry to registry by skopeo (1.9 or newer).

A bundle is an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md) whose blobs all
images share, with `bundle.json` beside its index: which images it has, and every file's digest and size.
"""
