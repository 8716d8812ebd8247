// keyvol-holder SOCKET SECONDS: keeps the FUSE mount of a daemon, which starts it. Says "ready" on
// standard output once it listens on SOCKET, and ends when the mount does, or when no daemon has
// been there for SECONDS.
// keyvol-holder --release SOCKET: ends the holder that listens there, unless a daemon is there or
// files of its mount are open. Exit statuses: 0 ended, 3 nobody listens, 1 anything else.
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "host/hardening.h"
#include "host/packets.h"
#include "host/unix_socket.h"
#include "transport/fuse/holder/holder.h"
#include "transport/fuse/holder_messages.h"

namespace keyvol::fuse {

namespace {

constexpr std::chrono::milliseconds kReleasedWithin(10000);

// Signals as a descriptor, and no longer as what they do.
UniqueFd Signals(std::initializer_list<int> numbers) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : numbers) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

int Complain(const Status& status) {
  fprintf(stderr, "keyvol-holder: error: %s\n", status.message().c_str());
  return 1;
}

int Release(const std::string& socket_path) {
  UniqueFd holder;
  const Status connected = ConnectToUnixSocket(socket_path, SOCK_SEQPACKET, &holder);
  if (connected.code() == Code::kNotFound) return 3;
  if (!connected.ok()) return Complain(connected);
  Packet answer;
  Status status = SendPacket(holder, kRelease);
  if (status.ok()) status = ReceivePacket(holder, kReleasedWithin, &answer);
  if (!status.ok()) return Complain(status);
  const std::vector<std::string> fields = Fields(answer.bytes);
  return fields[0] == kDone ? 0 : Complain(StatusOf(fields));
}

int Main(int argument_count, char** arguments) {
  if (argument_count == 3 && strcmp(arguments[1], "--release") == 0) return Release(arguments[2]);
  if (argument_count != 3 || atoi(arguments[2]) < 1) {
    fputs("usage: keyvol-holder SOCKET SECONDS | --release SOCKET\n", stderr);
    return 2;
  }
  if (const Status status = HardenProcess(); !status.ok()) return Complain(status);
  KeepAliveUnderPressure();
  UniqueFd listener;
  if (const Status status = ListenOnUnixSocket(arguments[1], SOCK_SEQPACKET, &listener);
      !status.ok()) {
    return Complain(status);
  }
  Holder holder(std::move(listener),
                {.to_end = Signals({SIGTERM, SIGINT, SIGHUP}), .of_children = Signals({SIGCHLD})},
                std::chrono::seconds(atoi(arguments[2])));
  puts("ready");
  fflush(stdout);
  // Nothing of the daemon's may live on with us: its terminal, its output, its directory.
  const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing.get(), fd);
  if (chdir("/") != 0) return 1;
  holder.Run();
  return 0;
}

}  // namespace

}  // namespace keyvol::fuse

int main(int argument_count, char** arguments) {
  return keyvol::fuse::Main(argument_count, arguments);
}
