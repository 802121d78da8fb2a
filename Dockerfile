# Trailhound as a server. The tutorial docs/tutorials/serve.md says how to build and use it.
#
#   docker build --build-arg TORCH_INDEX=URL --tag trailhound .
#
# TORCH_INDEX is the index of PyTorch's CPU builds, as pytorch.org names it (Get started: Linux, pip, CPU).

FROM python:3.11-slim AS build
ARG TORCH_INDEX
WORKDIR /source
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt ./
# torch goes first, without what else that index has: the build of the default index brings several GB of CUDA libraries.
RUN test -n "$TORCH_INDEX" || { echo "name the index of CPU builds: --build-arg TORCH_INDEX=URL"; exit 1; }; \
    pip install --no-deps --index-url "$TORCH_INDEX" "$(grep '^torch==' constraints.txt)"
COPY . .
# Nobody runs the tests of other packages here, or compiles against torch.
RUN pip install --constraint constraints.txt '.[server,office]' \
    && find /venv/lib -type d -name tests -prune -exec rm -rf {} + \
    && rm -rf /venv/lib/python*/site-packages/torch/include

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 trailhound && install --directory --owner trailhound /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
USER trailhound
WORKDIR /data
VOLUME /data
EXPOSE 8008
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8008/health/ready', timeout=4)"]
ENTRYPOINT ["trailhound"]
CMD ["serve", "my-docs.index", "--host", "0.0.0.0", "--keys", "keys.jsonl", "--state", "state"]
