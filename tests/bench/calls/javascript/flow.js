// The call of the benchmark, controlled by ari-client: node flow.js URL USER PASSWORD_FILE NOTICE
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const ari = require("ari-client");

const [url, user, passwordFile, notice] = process.argv.slice(2);
const app = "bench";

const once = (emitter, event, wanted = () => true) =>
  new Promise((resolve) => {
    const listener = (said) => {
      if (wanted(said)) {
        emitter.removeListener(event, listener);
        resolve(said);
      }
    };
    emitter.on(event, listener);
  });

async function call(client, agent, number) {
  const callee = client.Channel(crypto.randomUUID());
  const gone = Promise.race([once(callee, "StasisEnd"), once(callee, "ChannelDestroyed")]);
  const entered = once(callee, "StasisStart");
  const answered = once(callee, "ChannelStateChange", (said) => said.channel.state === "Up");
  await client.channels.create({ channelId: callee.id, endpoint: `PJSIP/${number}@trunk`, app, appArgs: "callee" });
  await entered;
  await client.channels.dial({ channelId: callee.id, timeout: 60 });
  await answered;

  const playback = client.Playback();
  const heard = once(playback, "PlaybackFinished");
  await client.channels.play({ channelId: callee.id, playbackId: playback.id, media: `sound:${notice}` });
  await heard;

  const snoop = client.Channel(crypto.randomUUID());
  const attached = once(snoop, "StasisStart");
  await client.channels.snoopChannelWithId({ channelId: callee.id, snoopId: snoop.id, spy: "both", app, appArgs: "snoop" });
  await attached;
  const recording = client.LiveRecording(crypto.randomUUID());
  const recorded = once(recording, "RecordingStarted");
  await client.channels.record({ channelId: snoop.id, name: recording.name, format: "wav" });
  await recorded;

  const bridge = await client.bridges.create({ type: "mixing" });
  await client.channels.answer({ channelId: agent.id });
  await client.bridges.addChannel({ bridgeId: bridge.id, channel: [agent.id, callee.id] });
  await gone;
  const ends = [agent, snoop].map((each) => client.channels.hangup({ channelId: each.id }).catch(() => null));
  await Promise.all([...ends, client.bridges.destroy({ bridgeId: bridge.id })]);
}

ari.connect(url, user, fs.readFileSync(passwordFile, "utf8").trim()).then((client) => {
  client.on("StasisStart", (event, channel) => {
    if (event.args[0] !== "callee" && event.args[0] !== "snoop") {
      call(client, channel, event.args[0]).catch((error) => console.error(String(error.message)));
    }
  });
  client.start(app).then(() => console.log("ready"));
});
