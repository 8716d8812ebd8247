// Listens for NBD clients, and knows which of them use what.
#ifndef KEYVOL_TRANSPORT_NBD_SERVER_H_
#define KEYVOL_TRANSPORT_NBD_SERVER_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "transport/nbd/connection.h"
#include "transport/nbd/exports.h"
#include "transport/nbd/tls_front.h"
#include "unique_fd.h"

namespace keyvol::nbd {

// All calls are safe from any thread. Its threads share the ownership, so it may be dropped at any
// time after Stop.
class Server : public std::enable_shared_from_this<Server> {
 public:
  // A listening stream socket, and what becomes of those who connect.
  struct Listener {
    UniqueFd fd;
    // Who it is, or that it may not come in.
    std::function<std::optional<std::string>(const UniqueFd& client)> greet;
    // None: in the clear.
    std::shared_ptr<const tls::Credentials> credentials;
  };

  static Status Start(std::vector<Listener> listeners, std::shared_ptr<Server>* server);
  // Once: whoever connects before it waits.
  Status Serve();

  Status Add(const std::string& name, std::shared_ptr<const Export> added) {
    return exports_->Add(name, std::move(added));
  }
  Status Rename(const std::string& id, const std::string& name) {
    return exports_->Rename(id, name);
  }
  // Its clients lose their connections.
  void Remove(const std::string& id);
  void Disconnect(const std::string& id);
  size_t ConnectionsTo(const std::string& id) const;
  // Takes no other clients and ends the connections of all; waits for their threads, at most
  // `timeout`. False when some still run. Safe to repeat.
  bool Stop(std::chrono::milliseconds timeout);

 private:
  // More than all programs of a host need, and few enough for their threads.
  static constexpr size_t kMaxConnections = 256;
  // Of them, so that clients of other hosts leave some for those of this one.
  static constexpr size_t kMaxTls = 192;
  // Who has not shown yet who it is.
  static constexpr size_t kMaxUnknown = 128;
  static constexpr size_t kMaxUnknownOfPeer = 16;
  // Of epoll(7): the listeners' numbers come first, then this one, then those of connections.
  static constexpr uint64_t kStopKey = 100;

  // A client that speaks TLS, from its first byte to its last.
  struct Front {
    int fd;
    std::string peer;
    bool is_known = false;
  };

  explicit Server(std::vector<Listener> listeners) : listeners_(std::move(listeners)) {}
  Status Open();
  void Listen();
  void Accept(const Listener& listener);
  void Add(UniqueFd fd, std::optional<uint32_t> greeted);
  void BeginTls(const Listener& listener, UniqueFd fd, const std::string& peer);
  void ServeTls(uint64_t number, UniqueFd fd, std::shared_ptr<const tls::Credentials> credentials);
  bool MayBegin(const std::string& peer) const;
  void Forget(uint64_t number);
  // The client is gone: what waits on its behalf need not.
  void HangUp(uint64_t number);
  // A client that comes again must find that what it asked before has been done or never will be:
  // else a write that it has given up could overwrite a later one. False when requests of clients
  // that are gone are still under way after a long time.
  bool AwaitDeparted(const std::string& id);

  std::vector<Listener> listeners_;  // of the thread that listens, once they are served
  const std::shared_ptr<Exports> exports_ = std::make_shared<Exports>();
  UniqueFd events_;
  UniqueFd stop_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::map<uint64_t, std::shared_ptr<Connection>> connections_;
  std::map<uint64_t, Front> fronts_;
  uint64_t next_number_ = kStopKey + 1;
  bool is_listening_ = false;
  bool is_stopping_ = false;
};

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_SERVER_H_
