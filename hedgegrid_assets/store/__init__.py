"""Where everything lies and how bytes get in and out: the one door of all modules to catalogs and raw data."""

from hedgegrid_assets.store.blocks import LONGEST_LINE, Block, BlockReader
from hedgegrid_assets.store.codecs import GZIP_MAGIC, content_crc, gunzip, gunzip_error, gunzipped
from hedgegrid_assets.store.columns import to_arrow
from hedgegrid_assets.store.disk import (
    RealPaths,
    disk_fault,
    make_folder,
    remove_tree,
    sha256_of,
    sync_folder,
    synced_together,
    writing,
)
from hedgegrid_assets.store.documents import (
    MADE_ANEW,
    Document,
    change_document,
    plain,
    read_document,
    reading,
    write_document,
    write_json,
)
from hedgegrid_assets.store.lines import LineFile, bytes_of, line_array
from hedgegrid_assets.store.listing import list_days
from hedgegrid_assets.store.local import LocalStore, folder_on_disk, on_disk
from hedgegrid_assets.store.locks import abandoned, exclusive_lock, is_held, remove_abandoned, try_file, working_folder
from hedgegrid_assets.store.objects import (
    AnyFile,
    Entry,
    Level,
    Store,
    StorePath,
    bytes_in,
    footer_file,
    local_file,
    uri_of,
)
from hedgegrid_assets.store.places import Places, cut_name, folder_of, raw_folder_name
from hedgegrid_assets.store.publish import (
    atomic_write,
    carry,
    give_up,
    parquet_writer,
    publish_file,
    read_bytes_of,
    retried,
    temporary_file,
)
from hedgegrid_assets.store.roots import is_address, stored
from hedgegrid_assets.store.spool import Spool
from hedgegrid_assets.store.swap import exchange
from hedgegrid_assets.store.tar import Member, TarFault, tar_members, tar_writer
from hedgegrid_assets.store.threads import BackgroundWriter, ordered_map, prefetch
from hedgegrid_assets.store.trees import SET_ASIDE, Size, files_below, names_in, put_back, set_aside, size_of

__all__ = [
    "GZIP_MAGIC",
    "LONGEST_LINE",
    "MADE_ANEW",
    "SET_ASIDE",
    "AnyFile",
    "BackgroundWriter",
    "Block",
    "BlockReader",
    "Document",
    "Entry",
    "Level",
    "LineFile",
    "LocalStore",
    "Member",
    "Places",
    "RealPaths",
    "Size",
    "Spool",
    "Store",
    "StorePath",
    "TarFault",
    "abandoned",
    "atomic_write",
    "bytes_in",
    "bytes_of",
    "carry",
    "change_document",
    "content_crc",
    "cut_name",
    "disk_fault",
    "exchange",
    "exclusive_lock",
    "files_below",
    "folder_of",
    "folder_on_disk",
    "footer_file",
    "give_up",
    "gunzip",
    "gunzip_error",
    "gunzipped",
    "is_address",
    "is_held",
    "line_array",
    "list_days",
    "local_file",
    "make_folder",
    "names_in",
    "on_disk",
    "ordered_map",
    "parquet_writer",
    "plain",
    "prefetch",
    "publish_file",
    "put_back",
    "raw_folder_name",
    "read_bytes_of",
    "read_document",
    "reading",
    "remove_abandoned",
    "remove_tree",
    "retried",
    "set_aside",
    "sha256_of",
    "size_of",
    "stored",
    "sync_folder",
    "synced_together",
    "tar_members",
    "tar_writer",
    "temporary_file",
    "to_arrow",
    "try_file",
    "uri_of",
    "working_folder",
    "write_document",
    "write_json",
    "writing",
]
