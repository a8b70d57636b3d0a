# Stands in for the official image where no registry can be reached: the same user, paths, variables and bind addresses, and
# the unchanged scripts of the real distribution. The build context "home" is a Flink home.
ARG BASE
FROM ${BASE}
RUN groupadd --system --gid 9999 flink && useradd --system --home-dir /opt/flink --uid 9999 --gid flink flink
COPY --chown=9999:9999 --from=home / /opt/flink
ENV FLINK_HOME=/opt/flink PATH=/opt/flink/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /opt/flink
# The official image lets everything listen on all interfaces, by Flink's own configuration tool.
RUN bin/config-parser-utils.sh conf bin lib -repKV rest.address,localhost,0.0.0.0 -repKV rest.bind-address,localhost,0.0.0.0 \
      -repKV jobmanager.bind-host,localhost,0.0.0.0 -repKV taskmanager.bind-host,localhost,0.0.0.0 -rmKV taskmanager.host=localhost \
    && chown flink:flink conf/* . && mkdir -p log && chown flink:flink log
EXPOSE 6123 8081
CMD ["help"]
