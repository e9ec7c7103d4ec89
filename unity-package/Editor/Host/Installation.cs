// Where the sidecar's program and the user's data are.
using System;
using System.IO;
using System.Runtime.InteropServices;
using Thumbforge.Editor.Native;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>Finds the program and the data directory, and brings the program to where it can run.</summary>
    internal static class Installation
    {
        /// <summary>Of a command line, above the user's settings; for headless editors.</summary>
        internal static string ProgramOverride, DataDirectoryOverride;

        /// <summary>Folder of the Unity project, absolute.</summary>
        internal static string ProjectFolder
        {
            get { return Path.GetFullPath(Path.Combine(Application.dataPath, "..")); }
        }

        /// <summary>Folder for what this editor remembers; never committed.</summary>
        internal static string LibraryFolder
        {
            get { return Path.Combine(ProjectFolder, "Library", "Thumbforge"); }
        }

        /// <summary>Where drafts lie until somebody accepts them.</summary>
        internal static string DraftsFolder
        {
            get { return Path.Combine(LibraryFolder, "Drafts"); }
        }

        /// <summary>What the session of this project is opened with.</summary>
        /// <exception cref="ThumbforgeException"><c>no_sidecar</c> when there is no program for this machine.</exception>
        internal static SessionOptions Options()
        {
            string dataDirectory = DataDirectory();
            return new SessionOptions
            {
                DataDirectory = dataDirectory,
                Project = ProjectFolder,
                Program = Program(dataDirectory),
                Arguments = ThumbforgeSettings.instance.ServeHttp
                    ? new[] { "--port", ThumbforgeSettings.instance.HttpPort.ToString() }
                    : new string[0],
            };
        }

        /// <summary>The user's data directory; the command line's default is the same.</summary>
        internal static string DataDirectory()
        {
            string chosen = string.IsNullOrEmpty(DataDirectoryOverride) ? UserSettings.DataDirectory : DataDirectoryOverride;
            if (!string.IsNullOrEmpty(chosen))
            {
                return Path.GetFullPath(chosen);
            }
            string home = Environment.GetEnvironmentVariable("HOME") ?? string.Empty;
            switch (Application.platform)
            {
                case RuntimePlatform.WindowsEditor:
                    string local = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
                    return Path.Combine(local, "thumbforge", "data");
                case RuntimePlatform.OSXEditor:
                    return Path.Combine(home, "Library", "Application Support", "thumbforge");
                default:
                    string data = Environment.GetEnvironmentVariable("XDG_DATA_HOME");
                    bool usable = !string.IsNullOrEmpty(data) && Path.IsPathRooted(data);
                    return Path.Combine(usable ? data : Path.Combine(home, ".local", "share"), "thumbforge");
            }
        }

        private static string Program(string dataDirectory)
        {
            string chosen = string.IsNullOrEmpty(ProgramOverride) ? UserSettings.ProgramPath : ProgramOverride;
            if (!string.IsNullOrEmpty(chosen))
            {
                if (!File.Exists(chosen))
                {
                    throw new ThumbforgeException("no_sidecar", "there is no program at " + chosen
                        + "; correct the path under Project Settings > Thumbforge, or clear it to use the package's own");
                }
                return Path.GetFullPath(chosen);
            }
            var package = UnityEditor.PackageManager.PackageInfo.FindForAssembly(typeof(Installation).Assembly);
            string packed = package == null ? string.Empty : Path.Combine(package.resolvedPath, "Sidecar~", Platform(), Name());
            if (!File.Exists(packed))
            {
                throw new ThumbforgeException("no_sidecar", "this package has no sidecar for " + Platform()
                    + "; install a package that was packed for it, or name a thumbforge program under Project Settings > Thumbforge");
            }
            return Install(packed, Path.Combine(dataDirectory, "bin", package.version));
        }

        /// <summary>
        /// Copies the program to the data directory: packages may be read-only and lose the right to run, and a program that
        /// runs out of the package could not be replaced on Windows. One copy a version serves all projects.
        /// </summary>
        internal static string Install(string packed, string folder)
        {
            string installed = Path.Combine(folder, Name());
            var source = new FileInfo(packed);
            var there = new FileInfo(installed);
            if (there.Exists && there.Length == source.Length && there.LastWriteTimeUtc == source.LastWriteTimeUtc)
            {
                return installed;
            }
            string fresh = installed + "." + Guid.NewGuid().ToString("N");
            try
            {
                Tidy(Directory.CreateDirectory(folder));
                File.Copy(packed, fresh, true);
                File.SetLastWriteTimeUtc(fresh, source.LastWriteTimeUtc);
                MakeRunnable(fresh);
                if (there.Exists)
                {
                    // Another editor may run it; its file is moved aside on Windows and merely unlinked elsewhere.
                    File.Replace(fresh, installed, null);
                }
                else
                {
                    File.Move(fresh, installed);
                }
            }
            // A folder that may not be written, or a program that Windows will not replace while it runs.
            catch (Exception err) when (err is IOException || err is UnauthorizedAccessException)
            {
                if (File.Exists(fresh))
                {
                    File.Delete(fresh);
                }
                if (File.Exists(installed))
                {
                    return installed;
                }
                throw new ThumbforgeException("output_file", "the sidecar's program cannot be copied to " + folder + ": " + err.Message);
            }
            return installed;
        }

        /// <summary>Removes copies that an editor which died left half-way.</summary>
        private static void Tidy(DirectoryInfo folder)
        {
            foreach (FileInfo copy in folder.GetFiles(Name() + ".*"))
            {
                if (DateTime.UtcNow - copy.CreationTimeUtc > TimeSpan.FromDays(1))
                {
                    copy.Delete();
                }
            }
        }

        private static void MakeRunnable(string file)
        {
            const int OwnerAllOthersRun = 0x1ed; // 0755
            if (Application.platform != RuntimePlatform.WindowsEditor && NativeChmod(file, OwnerAllOthersRun) != 0)
            {
                throw new ThumbforgeException("output_file", "the sidecar's program cannot be made runnable: " + file);
            }
        }

        [DllImport("libc", EntryPoint = "chmod", SetLastError = true)]
        private static extern int NativeChmod(string path, int mode);

        private static string Name()
        {
            return Application.platform == RuntimePlatform.WindowsEditor ? "thumbforge.exe" : "thumbforge";
        }

        private static string Platform()
        {
            switch (Application.platform)
            {
                case RuntimePlatform.WindowsEditor:
                    return "windows-x86_64";
                case RuntimePlatform.OSXEditor:
                    return "macos";
                default:
                    return "linux-x86_64";
            }
        }
    }
}
