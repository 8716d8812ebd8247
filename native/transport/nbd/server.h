// Listens for NBD clients, and knows which of them use what.
#ifndef KEYVOL_TRANSPORT_NBD_SERVER_H_
#define KEYVOL_TRANSPORT_NBD_SERVER_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "transport/nbd/connection.h"
#include "transport/nbd/exports.h"
#include "unique_fd.h"

namespace keyvol::nbd {

// All calls are safe from any thread. Its threads share the ownership, so it may be dropped at any
// time after Stop.
class Server : public std::enable_shared_from_this<Server> {
 public:
  using Filter = std::function<bool(const UniqueFd& connection)>;

  // Serves who connects to `listener`, a listening stream socket, if `is_welcome` says so.
  static Status Start(UniqueFd listener, Filter is_welcome, std::shared_ptr<Server>* server);

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
  static constexpr uint64_t kListenerKey = 0;
  static constexpr uint64_t kStopKey = 1;

  Server(UniqueFd listener, Filter is_welcome)
      : listener_(std::move(listener)), is_welcome_(std::move(is_welcome)) {}
  Status Open();
  void Listen();
  void Accept();
  void Add(UniqueFd fd);
  void Forget(uint64_t number);
  // The client is gone: what waits on its behalf need not.
  void HangUp(uint64_t number);
  // A client that comes again must find that what it asked before has been done or never will be:
  // else a write that it has given up could overwrite a later one. False when requests of clients
  // that are gone are still under way after a long time.
  bool AwaitDeparted(const std::string& id);

  UniqueFd listener_;  // of the thread that listens
  const Filter is_welcome_;
  const std::shared_ptr<Exports> exports_ = std::make_shared<Exports>();
  UniqueFd events_;
  UniqueFd stop_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::map<uint64_t, std::shared_ptr<Connection>> connections_;
  uint64_t next_number_ = kStopKey + 1;
  bool is_listening_ = false;
  bool is_stopping_ = false;
};

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_SERVER_H_
