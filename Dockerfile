# Anteroom with the offline engines: docker build -t anteroom .
# compose.yaml starts two nodes of it on MongoDB.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package anteroom-runtime --bin anteroom

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      ca-certificates ffmpeg pocketsphinx pocketsphinx-en-us poppler-utils tesseract-ocr \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/anteroom --create-home anteroom
COPY --from=build /source/target/release/anteroom /usr/local/bin/anteroom
USER anteroom
WORKDIR /var/lib/anteroom
ENV ANTEROOM_DATA_DIR=/var/lib/anteroom
VOLUME /var/lib/anteroom
EXPOSE 8787
# Others reach a container, so an operator's token is asked for: see compose.yaml.
ENTRYPOINT ["anteroom"]
CMD ["serve", "--listen", "0.0.0.0:8787", "--log-format", "json"]
