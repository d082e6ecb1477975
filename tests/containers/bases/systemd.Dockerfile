# A machine as docs/install.md leaves it: systemd, and ccari in /opt/ccari, for the test to boot.
FROM docker.io/library/debian:trixie-slim
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends systemd systemd-sysv python3 flac ffmpeg espeak-ng >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && for each in networkd resolved timesyncd udevd; do ln -sf /dev/null "/etc/systemd/system/systemd-$each.service"; done
RUN groupadd --system asterisk \
 && useradd --system --home-dir /var/lib/ccari ccari \
 && usermod -aG asterisk ccari \
 && install -d -g asterisk -m 0770 /var/spool/asterisk \
 && install -d -o ccari /srv/ccari /home/ccari
COPY --from=docker.io/library/ccari:local /opt/ccari /opt/ccari
RUN install -d -m 0750 -g ccari /etc/ccari \
 && echo password-of-nobody >/etc/ccari/ari-password \
 && chgrp ccari /etc/ccari/ari-password && chmod 0640 /etc/ccari/ari-password \
 && printf '[asterisk]\npassword_file = "/etc/ccari/ari-password"\n' >/etc/ccari/ccari.toml \
 && cp /opt/ccari/share/ccari/ccari.service /etc/systemd/system/ \
 && systemctl enable ccari
